/** Settings of features, from the environment. */
import { z } from 'zod';
import { decodersWith, featureSettings, silenceMethods } from '#audio/feature-settings.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { readKafkaConnection, readServiceSettings, readStoreConnection } from '#service/connection-config.js';
import { field, readConfig } from '#service/read-config.js';

export function readFeaturesConfig() {
  const read = readConfig({
    /** Tiles at which a shard is sealed. */
    SHARD_TILES: field.whole(1024, 1),
    /** Seconds after its first tile at which a shard is sealed, however small. */
    SHARD_MAX_AGE: field.seconds(30),
    /** Seconds between two looks at the settings that corpora have of their own. */
    FEATURE_SETTINGS_INTERVAL: field.seconds(10),
    FEATURE_WORKERS: field.whole(2, 1),
    /** Seconds one file may take before its worker is replaced. */
    FILE_TIMEOUT: field.seconds(60),
    /** For objects being read and decoded, and for tiles that wait for their shard, 10⁶ bytes; what needs more is taken alone. */
    AUDIO_MEMORY_MB: field.whole(512, 1),
    MAX_DURATION_SEC: field.seconds(600),
    /** Larger objects are refused by what the listing says of them. */
    MAX_OBJECT_MB: field.whole(1024, 1),
    /** Share of a tile that must be speech, from 0 to 1; 0 keeps every tile. */
    TILE_MIN_SPEECH: field.share(0.1),
    TILE_LAYOUT: z.enum(['tiles', 'centre']).default('tiles'),
    FREQUENCY_SCALE: z.enum(['linear', 'mel']).default('linear'),
    LOUDNESS_REFERENCE: z.enum(['utterance', 'full-scale']).default('utterance'),
    SILENCE_METHOD: z.enum(silenceMethods).default('energy'),
    /** Where the packages of `silero` are installed. */
    SILERO_DIR: z.string().min(1).optional(),
    /** Decibels below the loudest frame, for `top-db`. */
    SILENCE_TOP_DB: z.coerce.number().positive().default(40),
    /** `none`, or the frequency from which rows are emptied. */
    BAND_LIMIT_HZ: z.union([z.literal('none'), z.coerce.number().positive()]).default(8_000),
  });
  const ffmpeg = chooseFfmpeg();
  return {
    kafka: readKafkaConnection(),
    store: readStoreConnection(),
    service: readServiceSettings(7402, 'FEATURES_PORT'),
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
