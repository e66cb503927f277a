/**
 * The second line of defence. Schemas refuse records with hostile keys (libs/contracts/src/forged-records.spec.ts). Here such
 * records are past the schemas, as if from an old snapshot, and the consumers themselves must not act on them.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { featureSettings } from '#audio/feature-settings.js';
import { writeShard, type ShardRow } from '#audio/shard/shard-file.js';
import { bucketMarkerKey, manifestKey, shardKey } from '#contracts/object-keys.js';
import type { ShardSealed } from '#contracts/shards.js';
import { deleteOwn } from '#storage/delete-own.js';
import { FolderStore } from '#storage/folder-store.js';
import { type Objects, sha256Hex } from '#storage/object-store.js';
import { findCheckpoint } from '#rounds/checkpoint-store.js';
import { compactShards } from './compact-shards.js';
import { CompactionState } from './compaction-state.js';
import { MadeModels } from '#rounds/made-models.fixture.js';
import { planCompaction } from './plan-compaction.js';
import { pruneCheckpoints } from '#rounds/prune-checkpoints.js';
import { PredictionsScan, sweepObjects } from './sweep-objects.js';
import { TileStore } from '#rounds/tile-store.js';
import { TrainingIndex } from '#index/training-index.js';

const settings = featureSettings({ rows: 16, width: 32 });
const settingsHash = '0'.repeat(16);
const recording = 'corpora/c/a.wav';
const model = 'models/main/000000400/manifest.json';
const hostileKeys = [
  recording,
  model,
  `shards/${settingsHash}/../../${recording}`,
  '../../training/outside.txt',
  '',
  '..',
  `${recording}\u0000`,
];

let folder: string;
let store: FolderStore;
/** Every key that something asked for. */
let asked: string[];
let tiles: TileStore | undefined;

/** Records the requests to the real store. */
const watched = (): Objects =>
  new Proxy(store, {
    get: (real, name: keyof Objects) => {
      const method = real[name].bind(real) as (...words: unknown[]) => unknown;
      return (...words: unknown[]) => {
        asked.push(String(words[0]));
        return method(...words);
      };
    },
  });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-forged-'));
  store = new FolderStore(join(folder, 'bucket'));
  asked = [];
  for (const key of [recording, model]) await store.put(key, `precious: ${key}`);
  await store.put(bucketMarkerKey('undertone'), '{}');
  writeFileSync(join(folder, 'outside.txt'), 'precious');
});
afterEach(async () => {
  await tiles?.close();
  tiles = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const rowsOf = (...ids: string[]): ShardRow[] =>
  ids.map((utteranceId) => ({
    ...{ tile: new Uint8Array(16 * 32), utteranceId, version: 'v'.repeat(16), tileIndex: 0, corpus: 'c' },
    ...{ speaker: null, gender: null, category: 'happy', activation: null, valence: null },
  }));

async function sealed(...ids: string[]): Promise<ShardSealed> {
  const bytes = writeShard(rowsOf(...ids), settings);
  const shardId = sha256Hex(bytes);
  await store.put(shardKey(settingsHash, shardId), bytes);
  return recordOf(shardId, ...ids);
}

const recordOf = (shardId: string, ...ids: string[]): ShardSealed => ({
  ...{ shardId, stream: 'labelled', objectKey: shardKey(settingsHash, shardId), sizeBytes: 1, settingsHash, tile: [16, 32] },
  ...{ tileCount: ids.length, sealedAt: '2026-11-22T09:14:36.118Z' },
  utterances: ids.map((utteranceId, firstRow) => ({
    ...{ utteranceId, version: 'v'.repeat(16), firstRow, tileCount: 1, audioSec: 1, cutSec: 0 },
  })),
});

function indexOf(...shards: ShardSealed[]): TrainingIndex {
  const index = new TrainingIndex();
  for (const shard of shards) {
    index.applyShard(shard.shardId, shard);
    for (const { utteranceId, version } of shard.utterances)
      index.applyUtterance(utteranceId, { version, labels: { category: 'happy' }, split: 'train', withheld: false });
  }
  index.caughtUp();
  return index;
}

const expectAllThere = (): void => {
  for (const key of [recording, model]) expect(readFileSync(join(folder, 'bucket', key), 'utf8')).toBe(`precious: ${key}`);
  expect(readFileSync(join(folder, 'outside.txt'), 'utf8')).toBe('precious');
};

describe('the trainer, given a shard record with a hostile key', () => {
  const cacheOf = (): string => join(folder, 'home', 'cache');
  const prepare = (index: TrainingIndex): Promise<Set<string>> => {
    const connection = { endpoint: 'http://127.0.0.1:1', region: 'none', bucket: 'none', forcePathStyle: true };
    tiles = new TileStore(watched(), { folder: cacheOf(), limitBytes: 1e6, connection });
    const view = index.view();
    return tiles.prepare(view.utterances, view.tile);
  };

  it.each(hostileKeys)('with the object key %j, asks only for the key of the shard id', async (objectKey) => {
    const good = await sealed('c/good.wav');
    const forged = { ...recordOf('f'.repeat(64), 'c/forged.wav'), objectKey };
    expect(await prepare(indexOf(good, forged))).toEqual(new Set([forged.shardId]));
    expect(new Set(asked)).toEqual(new Set([good.objectKey, shardKey(settingsHash, forged.shardId)]));
    expectAllThere();
  });

  it.each(['../../outside', `../../training/${'f'.repeat(64)}`, '..', '', 'x'.repeat(64)])(
    'with the shard id %j, touches no file',
    async (shardId) => {
      const good = await sealed('c/good.wav');
      const beside = join(cacheOf(), `${shardId}.arrow`);
      mkdirSync(dirname(beside), { recursive: true });
      writeFileSync(beside, 'precious');
      expect(await prepare(indexOf(good, recordOf(shardId, 'c/forged.wav')))).toEqual(new Set([shardId]));
      expect(readFileSync(beside, 'utf8')).toBe('precious');
      expect(asked).toEqual([good.objectKey]);
      expectAllThere();
    },
  );

  it('with a settings hash that leads elsewhere, asks for nothing', async () => {
    const forged = { ...recordOf('f'.repeat(64), 'c/forged.wav'), settingsHash: '../../training/corpora/c' };
    expect(await prepare(indexOf(forged))).toEqual(new Set([forged.shardId]));
    expect(asked).toEqual([]);
  });

  it('with rows that are another utterance’s, another version’s, or not there, does not learn them', async () => {
    const good = await sealed('c/good.wav', 'c/better.wav');
    const [first, second] = good.utterances as [ShardSealed['utterances'][number], ShardSealed['utterances'][number]];
    const claims = [
      [
        { ...first, firstRow: 1 },
        { ...second, firstRow: 0 },
      ],
      [{ ...first, version: 'w'.repeat(16) }, second],
      [{ ...first, tileCount: 2 }],
      [{ ...first, firstRow: 7 }],
    ];
    for (const utterances of claims) {
      expect(await prepare(indexOf({ ...good, utterances }))).toEqual(new Set([good.shardId]));
      await tiles?.close();
    }
    expect(await prepare(indexOf(good))).toEqual(new Set());
    // The shard is open by now, and a later record of it is checked all the same.
    const later = indexOf({ ...good, utterances: [{ ...first, firstRow: 1 }] }).view();
    expect(await tiles?.prepare(later.utterances, later.tile)).toEqual(new Set([good.shardId]));
  });

  it('with tiles of another size than the file has, does not learn them', async () => {
    const good = await sealed('c/good.wav');
    expect(await prepare(indexOf({ ...good, tile: [128, 256] }))).toEqual(new Set([good.shardId]));
  });

  it('with a file of that digest that is not a shard, continues', async () => {
    const bytes = 'no Arrow file';
    await store.put(shardKey(settingsHash, sha256Hex(bytes)), bytes);
    const good = await sealed('c/good.wav');
    const forged = recordOf(sha256Hex(bytes), 'c/forged.wav');
    expect(await prepare(indexOf(good, forged))).toEqual(new Set([forged.shardId]));
  });
});

describe('compaction, given shard records with hostile keys', () => {
  it('reads, writes and deletes nothing outside its own objects', async () => {
    const state = new CompactionState();
    const good = [await sealed('c/one.wav'), await sealed('c/two.wav')];
    const forged = hostileKeys.map((objectKey, i) => ({ ...recordOf(String(i).repeat(64), `c/forged-${i}.wav`), objectKey }));
    const misnamed = ['../../outside', '..', ''].map((shardId) => recordOf(shardId, `c/misnamed${shardId.length}.wav`));
    const unannounced = await sealed('c/of-no-use.wav');
    const index: Record<string, string> = {};
    for (const shard of [...good, ...forged, ...misnamed]) {
      state.applyShard(shard.shardId, shard);
      for (const { utteranceId, version } of shard.utterances) index[utteranceId] = version;
    }
    const sync = (): Promise<void> => Promise.resolve();
    const tools = { store: watched(), state, sync, verify: sync, publisher: { publish: sync, tombstone: sync } };
    let unreadable: string[] = [];
    for (let tries = 0; tries < 20; tries++) {
      const plan = planCompaction(
        { shards: state.shards.values(), versionOf: (id) => index[id], unreadable: new Set(unreadable) },
        { shardTiles: 10, deadShare: 0.2 },
      );
      const done = await compactShards(plan, tools);
      if (done.unreadable.length === 0) break;
      unreadable = [...unreadable, ...done.unreadable];
    }
    const swept = await sweepObjects({
      ...tools,
      ...{ topicPrefix: 'undertone', graceMs: 0, dryRun: false, scan: new PredictionsScan() },
    });
    expect(swept.shardsDeleted).toBeGreaterThan(0);
    expect(existsSync(join(folder, 'bucket', unannounced.objectKey))).toBe(false);
    for (const key of asked) expect(key).toMatch(/^(shards|predictions|state|models)\//);
    expect(asked).not.toContain(model);
    expectAllThere();
  });
});

describe('pruning, given the manifest of another checkpoint', () => {
  it('skips it, and deletes nothing of the other', async () => {
    const models = new MadeModels(store, 'made');
    for (const step of [100, 200, 300]) await models.write({ step, right: 5 });
    const found = await store.find(manifestKey('made', 300));
    await store.put(manifestKey('made', 400), found?.bytes ?? '');
    await new MadeModels(store, 'other').write({ step: 50, right: 5 });
    await store.put(manifestKey('made', 50), (await store.find(manifestKey('other', 50)))?.bytes ?? '');
    const weightsOf = async (runId: string): Promise<number> => {
      let count = 0;
      for await (const { key } of store.list(`models/${runId}/`)) if (key.endsWith('.safetensors')) count++;
      return count;
    };
    await pruneCheckpoints(store, 'made', { keepModels: 1, isProtected: () => false });
    expect([await weightsOf('made'), await weightsOf('other')]).toEqual([1, 1]);
    await expect(findCheckpoint(store, 'made', 400)).rejects.toMatchObject({ code: 'CHECKPOINT_INVALID' });
    expectAllThere();
  });
});

describe('a deletion', () => {
  it.each(hostileKeys)('by the key %j is refused', async (key) => {
    await expect(deleteOwn(store, key, 'shard')).rejects.toMatchObject({ code: 'OBJECT_KEY_INVALID' });
    expectAllThere();
  });

  it('in a folder store never leaves the folder, whatever its key', async () => {
    await expect(store.delete('../../training/outside.txt')).rejects.toMatchObject({ code: 'OBJECT_KEY_INVALID' });
    expectAllThere();
  });
});
