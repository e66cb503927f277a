/**
 * Finds feature settings by their digest, so that a model is served with the settings that it was trained with. Each shard carries
 * its settings, and its key names their digest. The settings that were found are kept in the bucket, because shards of abandoned
 * settings are deleted after a week.
 */
import { validateSettings, settingsHash as hashOf, type FeatureSettings } from '#audio/feature-settings.js';
import { readShard } from '#audio/shard/shard-file.js';
import { knownSettingsKey, parseShardKey, shardsPrefix } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from '#storage/object-store.js';

/** Shards that are opened at most; each of them should do. */
const shardsAtMost = 3;

/** @throws PipelineError FEATURE_SETTINGS_MISMATCH if no object in the bucket knows the settings; STORAGE_UNAVAILABLE */
export async function featureSettingsOf(store: Objects, hash: string): Promise<FeatureSettings> {
  const kept = await store.findJson(knownSettingsKey(hash));
  if (isOf(kept, hash)) return kept;
  let opened = 0;
  for await (const { key } of store.list(shardsPrefix(hash))) {
    if (parseShardKey(key) === null) continue;
    const settings = await settingsIn(store, key);
    if (isOf(settings, hash)) {
      await store.put(knownSettingsKey(hash), JSON.stringify(settings), { contentType: 'application/json' });
      return settings;
    }
    if (++opened === shardsAtMost) break;
  }
  throw new PipelineError(
    'FEATURE_SETTINGS_MISMATCH',
    `No shard in the bucket has the feature settings ${hash} that the model was trained with, so new audio cannot be made into its tiles. Train a model on shards that exist.`,
    { context: { settingsHash: hash } },
  );
}

async function settingsIn(store: Objects, key: string): Promise<unknown> {
  const found = await store.find(key);
  if (!found) return null;
  try {
    return readShard(found.bytes).settings;
  } catch (error) {
    if (error instanceof PipelineError) return null;
    throw error;
  }
}

/** The digest decides, so it does not matter who wrote the object. */
function isOf(json: unknown, hash: string): json is FeatureSettings {
  if (typeof json !== 'object' || json === null) return false;
  try {
    validateSettings(json as FeatureSettings);
    return hashOf(json as FeatureSettings, null) === hash;
  } catch {
    return false;
  }
}
