import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { featureSettings } from '#audio/feature-settings.js';
import { type ShardRow, writeShard } from '#audio/shard/shard-file.js';
import { shardKey } from '#contracts/object-keys.js';
import type { Split } from '#contracts/labels.js';
import { FolderStore } from '#storage/folder-store.js';
import { sha256Hex } from '#storage/object-store.js';
import { type TrainingView, type ViewUtterance, viewOf } from '#index/training-index.js';
import { viewOfShards } from '#index/view-of-shards.js';
import { exportTiles } from './export-tiles.js';

const settingsHash = '0'.repeat(16);
const corpora: [utteranceId: string, split: Split, speaker: string | null][] = [
  ['c/01.wav', 'test', null],
  ['c/02.wav', 'dev', null],
  ['c/03.wav', 'train', null],
  ['c/04.wav', 'test', 'c/anna'],
  ['c/05.wav', 'test', 'c/anna'],
  ['c/06.wav', 'train', 'c/ben'],
  ['c/07.wav', 'dev', 'c/ben'],
];

let folder: string;
let store: FolderStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-export-'));
  store = new FolderStore(join(folder, 'bucket'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function madeView(): Promise<TrainingView> {
  const rows = corpora.map(
    ([utteranceId, , speaker]): ShardRow => ({
      ...{ tile: new Uint8Array(16 * 32), utteranceId, version: 'v'.repeat(16), tileIndex: 0, corpus: 'c', speaker },
      ...{ gender: null, category: 'happy', activation: null, valence: null },
    }),
  );
  const bytes = writeShard(rows, featureSettings({ rows: 16, width: 32 }));
  const shardId = sha256Hex(bytes);
  await store.put(shardKey(settingsHash, shardId), bytes);
  const utterances = corpora.map(
    ([utteranceId, split, speaker], firstRow): ViewUtterance => ({
      ...{ utteranceId, version: 'v'.repeat(16), objectKey: `corpora/${utteranceId}`, stream: 'labelled', split, withheld: false },
      ...{ labels: { category: 'happy', speakerId: speaker ?? undefined }, shardId, shardObjectKey: shardKey(settingsHash, shardId) },
      ...{ firstRow, tileCount: 1 },
    }),
  );
  return viewOf(settingsHash, utterances);
}

describe('exported shards', () => {
  it('keep the split of each utterance, with a speaker or without', async () => {
    const into = join(folder, 'exported');
    await exportTiles(store, await madeView(), { format: 'shards', folder: into, tilesPerFile: 3 });
    const read = viewOfShards(into).utterances.map(({ utteranceId, split, labels }) => [utteranceId, split, labels.speakerId ?? null]);
    expect(read).toEqual(corpora);
  });

  it('keep the split of a speaker that the reader chooses', async () => {
    const into = join(folder, 'exported');
    await exportTiles(store, await madeView(), { format: 'shards', folder: into, tilesPerFile: 100 });
    const read = viewOfShards(into, new Map([['c/ben', 'test']])).utterances;
    expect(read.filter(({ labels }) => labels.speakerId === 'c/ben').map(({ split }) => split)).toEqual(['test', 'test']);
  });

  it('are refused if a file has other rows than its record says', async () => {
    const view = await madeView();
    const [first] = view.utterances as [ViewUtterance];
    first.firstRow = 1;
    const exporting = exportTiles(store, view, { format: 'shards', folder: join(folder, 'exported'), tilesPerFile: 100 });
    await expect(exporting).rejects.toMatchObject({ code: 'OBJECT_CHECKSUM_MISMATCH' });
  });
});
