/** Reads the settings of features from the environment. */
import { z } from 'zod';
import { decodersWith, featureSettings, silenceMethods } from '#audio/feature-settings.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { readKafkaConnection, readServiceSettings, readStoreConnection, servicePorts } from '#service/connection-config.js';
import { field, readConfig } from '#service/read-config.js';

export const featuresVariables = {
  SHARD_TILES: field.wholeIn('tiles', 1024, 1).describe('Features seals a shard when it holds this many tiles.'),
  SHARD_MAX_AGE: field.seconds(30).describe('Features seals a shard this long after its first tile, however small the shard is.'),
  FEATURE_WORKERS: field.wholeIn('threads', 2, 1).describe('Threads that decode audio and make tiles.'),
  FILE_TIMEOUT: field
    .seconds(60)
    .describe(
      'Longest time for one file, from the moment when a thread takes it. After that the file becomes a dead letter (`AUDIO_DECODE_TIMEOUT`), and a new thread replaces the old one.',
    ),
  AUDIO_MEMORY_MB: field
    .wholeIn('10⁶ bytes', 512, 1)
    .describe(
      'Memory for files that are being read and decoded, ffmpeg included, and for the tiles of open shards. A file that takes more than a quarter is decoded alone, and borrows from open shards. One that takes more than three quarters is refused (`AUDIO_TOO_LARGE`).',
    ),
  MAX_DURATION_SEC: field.seconds(600).describe('Features refuses longer audio (`AUDIO_TOO_LONG`). ¹'),
  MAX_OBJECT_MB: field.wholeIn('10⁶ bytes', 1024, 1).describe('Features refuses a larger object unread (`AUDIO_TOO_LONG`).'),
  TILE_MIN_SPEECH: field
    .share(0.1)
    .describe(
      'Share of a tile, from 0 to 1, that must be speech. Features leaves out a tile with less if the utterance has a better one. 0 keeps every tile. ¹',
    ),
  TILE_LAYOUT: z
    .enum(['tiles', 'centre'])
    .default('tiles')
    .describe('`tiles` covers the whole recording with tiles. `centre` takes one crop from its middle. ¹'),
  FREQUENCY_SCALE: z
    .enum(['linear', 'mel'])
    .default('linear')
    .describe("`linear` rows are equally wide in Hz. `mel` rows are librosa's mel filters. ¹"),
  LOUDNESS_REFERENCE: z
    .enum(['utterance', 'full-scale'])
    .default('utterance')
    .describe('`utterance` measures decibels from the loudest point of the utterance. `full-scale` keeps the loudness of the recording. ¹'),
  BAND_LIMIT_HZ: z
    .union([z.literal('none'), z.coerce.number().positive()])
    .default(8_000)
    .meta({ unit: 'Hz' })
    .describe('Features empties the rows from this frequency on. `none` keeps all rows. ¹'),
  SILENCE_METHOD: z
    .enum(silenceMethods)
    .default('energy')
    .describe('How features finds silence: `energy`, `top-db` (as librosa trims and splits), `webrtc` or `silero`. ¹'),
  SILENCE_TOP_DB: z.coerce
    .number()
    .positive()
    .default(40)
    .meta({ unit: 'dB' })
    .describe('For `top-db`: a frame this far below the loudest frame is silence. ¹'),
  SILERO_DIR: z
    .string()
    .min(1)
    .optional()
    .describe(
      'For `silero`: the folder with its packages. `npm install --prefix DIR onnxruntime-web@1.30.0 @ricky0123/vad-web@0.0.31` makes it (150 MB). Features does not start with `silero` and without this folder.',
    ),
  FEATURE_SETTINGS_INTERVAL: field.seconds(10).describe('Time between two looks at the feature settings that corpora have of their own.'),
};

export function readFeaturesConfig() {
  const read = readConfig(featuresVariables);
  const ffmpeg = chooseFfmpeg();
  return {
    kafka: readKafkaConnection(),
    store: readStoreConnection(),
    service: readServiceSettings(servicePorts.features, 'FEATURES_PORT'),
    sealing: { tiles: read.SHARD_TILES, maxAgeMs: read.SHARD_MAX_AGE * 1000 },
    workers: read.FEATURE_WORKERS,
    audioMemoryBytes: read.AUDIO_MEMORY_MB * 1e6,
    maxObjectBytes: read.MAX_OBJECT_MB * 1e6,
    fileTimeoutMs: read.FILE_TIMEOUT * 1000,
    settingsIntervalMs: read.FEATURE_SETTINGS_INTERVAL * 1000,
    ffmpeg,
    sileroDir: read.SILERO_DIR,
    settings: featureSettings({
      decoders: decodersWith(ffmpeg),
      maxDurationSec: read.MAX_DURATION_SEC,
      silenceMethod: read.SILENCE_METHOD,
      silenceTopDb: read.SILENCE_TOP_DB,
      layout: read.TILE_LAYOUT,
      minSpeechShare: read.TILE_MIN_SPEECH,
      scale: read.FREQUENCY_SCALE,
      reference: read.LOUDNESS_REFERENCE,
      bandLimitHz: read.BAND_LIMIT_HZ === 'none' ? null : read.BAND_LIMIT_HZ,
    }),
  };
}
export type FeaturesConfig = ReturnType<typeof readFeaturesConfig>;
