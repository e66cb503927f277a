/** Reads the settings of features from the environment. */
import { decodersWith, featureSettings } from '#audio/feature-settings.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { readKafkaConnection, readServiceSettings, readStoreConnection, servicePorts } from '#service/connection-config.js';
import { featureChangesOf, featureVariables } from '#service/feature-variables.js';
import { presetVariables, withPreset } from '#service/presets.js';
import { field, readConfig } from '#service/read-config.js';

export const featuresVariables = {
  ...presetVariables,
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
  MAX_OBJECT_MB: field.wholeIn('10⁶ bytes', 1024, 1).describe('Features refuses a larger object unread (`AUDIO_TOO_LONG`).'),
  ...featureVariables,
  FEATURE_SETTINGS_INTERVAL: field.seconds(10).describe('Time between two looks at the feature settings that corpora have of their own.'),
};

export function readFeaturesConfig() {
  const read = readConfig(featuresVariables, withPreset(process.env));
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
    settings: featureSettings({ decoders: decodersWith(ffmpeg), ...featureChangesOf(read) }),
  };
}
export type FeaturesConfig = ReturnType<typeof readFeaturesConfig>;
