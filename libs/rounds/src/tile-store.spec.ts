/** Two trainers on one host share a cache folder. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { featureSettings } from '#audio/feature-settings.js';
import { shardKey } from '#contracts/object-keys.js';
import { writeShard } from '#audio/shard/shard-file.js';
import { FolderStore } from '#storage/folder-store.js';
import { sha256Hex } from '#storage/object-store.js';
import { TileStore } from './tile-store.js';
import type { ViewUtterance } from '#index/training-index.js';

const [rows, width] = [16, 32];
const connection = { endpoint: 'http://127.0.0.1:1', region: 'none', bucket: 'b', forcePathStyle: true };
let folder: string;
let store: FolderStore;
let opened: TileStore[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-tiles-'));
  store = new FolderStore(join(folder, 'bucket'));
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((each) => each.close()));
  rmSync(folder, { recursive: true });
});

function openTiles(): TileStore {
  const tiles = new TileStore(store, { folder: join(folder, 'cache'), limitBytes: 1e6, connection });
  opened.push(tiles);
  return tiles;
}

/** One utterance of one tile whose pixels all have this value. */
async function putUtterance(pixel: number): Promise<ViewUtterance> {
  const utteranceId = `c/${pixel}`;
  const row = { utteranceId, version: 'v', tileIndex: 0, corpus: 'c', speaker: null, gender: null, category: null, activation: null };
  const bytes = writeShard([{ ...row, valence: null, tile: new Uint8Array(rows * width).fill(pixel) }], featureSettings({ rows, width }));
  const shardId = sha256Hex(bytes);
  const shardObjectKey = shardKey('0'.repeat(16), shardId);
  await store.put(shardObjectKey, bytes);
  const place = { shardId, shardObjectKey, firstRow: 0, tileCount: 1 };
  return { utteranceId, version: 'v', objectKey: utteranceId, stream: 'unlabelled', labels: {}, split: 'train', withheld: false, ...place };
}

const cachedFiles = (): string[] =>
  readdirSync(join(folder, 'cache'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.arrow'));

it('keeps reading while another tile store prepares another view in the same folder', async () => {
  const [one, other] = [await putUtterance(1), await putUtterance(2)];
  const [first, second] = [openTiles(), openTiles()];
  await first.prepare([one]);
  await second.prepare([other]);
  expect(cachedFiles()).toHaveLength(2);
  const tiles = await Promise.all([first.read([{ utterance: one, row: 0 }]), second.read([{ utterance: other, row: 0 }])]);
  expect(tiles.map(([pixel]) => pixel)).toEqual([1, 2]);
});

it('takes over the files of a closed tile store, and deletes those that its own view does not name', async () => {
  const [kept, erased] = [await putUtterance(1), await putUtterance(2)];
  const first = openTiles();
  await first.prepare([kept, erased]);
  await first.close();
  await store.delete(kept.shardObjectKey);
  const heir = openTiles();
  expect(await heir.prepare([kept])).toEqual(new Set());
  expect(cachedFiles().map((name) => name.split('/').at(-1))).toEqual([`${kept.shardId}.arrow`]);
});
