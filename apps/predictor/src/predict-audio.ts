/**
 * Predicts for a file: makes tiles with the feature settings of the served model, and scores them. It never makes tiles with the
 * defaults, so a posted file gives the same numbers as the same file in the bucket.
 */
import { settingsHash } from '#audio/feature-settings.js';
import { parseCorpusKey, utteranceIdOf } from '#contracts/object-keys.js';
import type { SilenceProfile } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ExtractorPool } from '#extraction/extractor-pool.js';
import type { ServedModel } from '#serving/served-model.js';
import type { Objects } from '#storage/object-store.js';
import type { PredictorConfig } from './config.js';
import type { ModelKeeper } from './model-keeper.js';
import type { Prediction, PredictQuery } from './predictor-answers.js';
import type { Asked } from './read-request.js';
import type { SilenceProfiles } from './silence-profiles.js';

export interface PredictAudioOptions {
  store: Pick<Objects, 'head' | 'find'>;
  keeper: Pick<ModelKeeper, 'model' | 'featureSettings' | 'problem'>;
  pool: Pick<ExtractorPool, 'extract'>;
  silence: SilenceProfiles;
  config: Pick<PredictorConfig, 'ffmpeg' | 'sileroDir' | 'maxFileBytes' | 'fileTimeoutMs'>;
}

/** ffmpeg is stopped before its thread, so that the thread can delete the temporary file. */
const ffmpegTimeShare = 0.9;

/** @throws PipelineError AUDIO_*, DECODER_MISSING, OBJECT_GONE, REQUEST_TOO_LARGE, MODEL_MISSING, FEATURE_SETTINGS_MISMATCH, STORAGE_UNAVAILABLE */
export async function predictAudio(asked: Asked, query: PredictQuery, options: PredictAudioOptions): Promise<Prediction> {
  const { keeper, pool, config, silence } = options;
  const model = servedModel(keeper);
  const settings = await keeper.featureSettings(model);
  const bytes = 'key' in asked ? await readObject(asked.key, options) : asked.bytes;
  const profile = query.silence ?? ('key' in asked ? profileOf(asked.key, silence) : silence.usual());
  const features = await pool.extract(bytes, settings, {
    silence: profile,
    timeoutMs: config.fileTimeoutMs * ffmpegTimeShare,
    ffmpeg: config.ffmpeg,
    sileroDir: config.sileroDir,
    windowsEverySec: query.hop,
  });
  const hash = settingsHash(settings, null);
  const { tiles, count, times, windows } = features;
  const [score, scoredWindows] = await model.score([
    { tiles, count, times, settingsHash: hash },
    ...(windows ? [{ ...windows, settingsHash: hash }] : []),
  ]);
  if (!score) throw new Error('the model gave no score'); // a bug of this program
  const usual = Object.values(settings.decoders);
  const remarks = [
    ...(features.remark === undefined ? [] : [features.remark]),
    ...(usual.includes(features.decoder)
      ? []
      : [`decoded by ${features.decoder}, and the model was trained with ${settings.decoders.other ?? 'WAV and FLAC only'}`]),
  ];
  const { audioSec, keptSec, sampleRateHz, decoder } = features;
  return {
    model: model.identity,
    settingsHash: hash,
    ...score,
    ...(scoredWindows && { windows: scoredWindows.tiles }),
    audioSec,
    keptSec,
    sampleRateHz,
    decoder,
    remarks,
  };
}

/** @throws PipelineError MODEL_MISSING */
export function servedModel({ model, problem }: Pick<ModelKeeper, 'model' | 'problem'>): ServedModel {
  if (model) return model;
  throw new PipelineError(
    'MODEL_MISSING',
    problem ?? 'There is no model yet: the first round has not finished. `./undertone status` shows its progress.',
  );
}

async function readObject(key: string, { store, config }: PredictAudioOptions): Promise<Uint8Array> {
  const head = await store.head(key);
  if (head && head.sizeBytes > config.maxFileBytes) {
    throw new PipelineError(
      'REQUEST_TOO_LARGE',
      `The object has ${head.sizeBytes} bytes, and PREDICT_MAX_MB allows ${config.maxFileBytes}.`,
    );
  }
  const found = head && (await store.find(key));
  if (!found) throw new PipelineError('OBJECT_GONE', `There is no object ${JSON.stringify(key)} in the bucket.`);
  return found.bytes;
}

function profileOf(key: string, silence: SilenceProfiles): SilenceProfile {
  const place = parseCorpusKey(key);
  return place ? silence.of(utteranceIdOf(place.corpus, place.path)) : silence.usual();
}
