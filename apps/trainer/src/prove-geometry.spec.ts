import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { featureSettings, settingsHash } from '#audio/feature-settings.js';
import { type ShardRow, writeShard } from '#audio/shard/shard-file.js';
import { shardKey } from '#contracts/object-keys.js';
import { TrainingIndex } from '#index/training-index.js';
import { FolderStore } from '#storage/folder-store.js';
import { sha256Hex } from '#storage/object-store.js';
import { GeometryProofs } from './prove-geometry.js';

const settings = featureSettings({ rows: 16, width: 32 });
const hash = settingsHash(settings, null);
const row: ShardRow = {
  ...{ tile: new Uint8Array(16 * 32), utteranceId: 'c/a.wav', version: 'v', tileIndex: 0, corpus: 'c' },
  ...{ speaker: null, gender: null, category: 'happy', activation: null, valence: null },
};

let folder: string;
let store: FolderStore;
let index: TrainingIndex;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-geometry-'));
  store = new FolderStore(folder);
  index = new TrainingIndex();
  index.applyUtterance('c/a.wav', { version: 'v', labels: { category: 'happy' }, split: 'train', withheld: false });
  index.caughtUp();
});
afterEach(() => rmSync(folder, { recursive: true }));

function announce(shardId: string, tile: [number, number] | undefined): void {
  const utterances = [{ utteranceId: 'c/a.wav', version: 'v', firstRow: 0, tileCount: 1 }];
  index.applyShard(shardId, { shardId, stream: 'labelled', settingsHash: hash, tile, sealedAt: '2026-11-22T09:14:36.118Z', utterances });
}
const forge = (count: number, tile: [number, number]): void => {
  for (let i = 0; i < count; i++) announce(i.toString(16).padStart(64, '0'), tile);
};
/** Stores a shard's file under the hash of the honest settings. */
async function storeShard(contents = settings): Promise<string> {
  const bytes = writeShard([{ ...row, tile: new Uint8Array(contents.rows * contents.width) }], contents);
  const shardId = sha256Hex(bytes);
  await store.put(shardKey(hash, shardId), bytes);
  return shardId;
}

describe('the tile geometry of settings', () => {
  it('is that of a file, although most records state another one', async () => {
    const proofs = new GeometryProofs(store);
    forge(200, [1_024, 4_096]);
    announce(await storeShard(), [16, 32]);
    expect(index.tile).toEqual([1_024, 4_096]);
    expect(await proofs.prove(index)).toBe(true);
    expect(index.tile).toEqual([16, 32]);
    announce('f'.repeat(64), [1_024, 4_096]);
    expect(await proofs.prove(index)).toBe(true);
    expect(index.tile).toEqual([16, 32]);
  });

  it('is not proven by records alone, until a shard with a file comes', async () => {
    const proofs = new GeometryProofs(store);
    expect(await proofs.prove(index)).toBe(true); // no tiles yet
    forge(30, [1_024, 4_096]);
    for (let tries = 0; tries < 6; tries++) expect(await proofs.prove(index)).toBe(false);
    announce(await storeShard(), [16, 32]);
    expect(await proofs.prove(index)).toBe(true);
    expect(index.tile).toEqual([16, 32]);
  });

  it('is not proven by a file of other settings under the same key', async () => {
    announce(await storeShard(featureSettings({ rows: 32, width: 64 })), [32, 64]);
    expect(await new GeometryProofs(store).prove(index)).toBe(false);
  });

  it('is proven by the file of a shard that does not state it', async () => {
    announce(await storeShard(), undefined);
    expect(await new GeometryProofs(store).prove(index)).toBe(true);
    expect(index.tile).toEqual([16, 32]);
  });
});
