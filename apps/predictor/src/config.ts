/** Reads the settings of the predictor from the environment. */
import { existsSync } from 'node:fs';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { readKafkaConnection, readServiceSettings, readStoreConnection, servicePorts } from '#service/connection-config.js';
import { field, readConfig } from '#service/read-config.js';
import { rescorePolicySchema } from './rescore-policy.js';

export const predictorVariables = {
  RESCORE: rescorePolicySchema
    .default({ kind: 'recent', days: 30 })
    .meta({ shownDefault: '`recent:30d`' })
    .describe(
      'Utterances that the predictor scores again when a model becomes the champion: `new` (none), `recent:30d` (ingested in the last 30 days), or `all`. New utterances go first.',
    ),
  PREDICT_MAX_MB: field.wholeIn('10⁶ bytes', 64, 1).describe('The predictor refuses a larger file, posted or named by its key.'),
  PREDICT_MEMORY_MB: field
    .wholeIn('10⁶ bytes', 256, 1)
    .describe('Memory for posted files that are being received, read and decoded. A request that finds none is answered 503.'),
  PREDICT_WORKERS: field.wholeIn('threads', 1, 1).describe('Threads of the predictor that decode posted files and make tiles.'),
  PREDICT_TIMEOUT: field.seconds(30).describe('Longest time for decoding one posted file.'),
  LIVE_STREAMS: field
    .wholeIn('streams', 64, 0)
    .describe('Live streams at once. A further stream is refused and may begin again later. 0 allows none.'),
  LIVE_MAX_SEC: field.seconds(600).describe('Longest live stream.'),
  LIVE_MEMORY_MB: field
    .wholeIn('10⁶ bytes', 256, 1)
    .describe('Memory for the samples of all live streams. A stream that finds none is refused.'),
  PREDICT_PER_SECOND: field.wholeIn('requests', 50, 1).describe('Predictions that the predictor accepts in a second. More get 429.'),
};

/** Variables that other programs read too; docs/configuration.md has them there. */
const sharedVariables = { TF_BACKEND: field.optionalText(), WEBGPU_DIR: field.optionalText(), SILERO_DIR: field.optionalText() };

export function readPredictorConfig() {
  // TensorFlow prints a greeting on stderr unless this is set.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  const read = readConfig(predictorVariables);
  const shared = readConfig(sharedVariables);
  return {
    kafka: readKafkaConnection(),
    store: readStoreConnection(),
    service: readServiceSettings(servicePorts.predictor, 'PREDICTOR_PORT'),
    rescore: read.RESCORE,
    maxFileBytes: read.PREDICT_MAX_MB * 1e6,
    memoryBytes: read.PREDICT_MEMORY_MB * 1e6,
    workers: read.PREDICT_WORKERS,
    fileTimeoutMs: read.PREDICT_TIMEOUT * 1000,
    live: { mostStreams: read.LIVE_STREAMS, maxSec: read.LIVE_MAX_SEC, memoryBytes: read.LIVE_MEMORY_MB * 1e6, keptMs: 30_000 },
    requestsPerSecond: read.PREDICT_PER_SECOND,
    ffmpeg: chooseFfmpeg(),
    sileroDir: shared.SILERO_DIR,
    backend: { requested: shared.TF_BACKEND, webgpuDir: shared.WEBGPU_DIR, hasGpu: existsSync('/dev/nvidia0') },
  };
}
export type PredictorConfig = ReturnType<typeof readPredictorConfig>;
