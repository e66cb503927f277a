import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { featureSettings, settingsHash } from '#audio/feature-settings.js';
import { writeShard } from '#audio/shard/shard-file.js';
import { knownSettingsKey, shardKey } from '#contracts/object-keys.js';
import { FolderStore } from '#storage/folder-store.js';
import { featureSettingsOf } from './feature-settings-of.js';

const settings = featureSettings({ rows: 16, width: 32, scale: 'mel' });
const hash = settingsHash(settings, null);
let folder: string;
let store: FolderStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-settings-'));
  store = new FolderStore(folder);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const row = {
  ...{ tile: new Uint8Array(16 * 32), utteranceId: 'c/a', version: 'v'.repeat(16), tileIndex: 0, corpus: 'c' },
  ...{ speaker: null, gender: null, category: null, activation: null, valence: null },
};

describe('the feature settings of a model', () => {
  it('come from a shard, and stay known when the shards are gone', async () => {
    const key = shardKey(hash, 'e'.repeat(64));
    await store.put(key, writeShard([row], settings));
    expect(await featureSettingsOf(store, hash)).toEqual(settings);
    await store.delete(key);
    expect(await featureSettingsOf(store, hash)).toEqual(settings);
  });

  it('are refused if no object has the digest, whatever it claims', async () => {
    await store.put(knownSettingsKey(hash), JSON.stringify({ ...settings, rows: 32 }));
    await expect(featureSettingsOf(store, hash)).rejects.toMatchObject({ code: 'FEATURE_SETTINGS_MISMATCH' });
  });
});
