import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { featureSettings } from '#audio/feature-settings.js';
import { writeShard, type ShardRow } from '#audio/shard/shard-file.js';
import { holdKey, shardKey } from '#contracts/object-keys.js';
import { shardsLabelled, type ShardSealed } from '#contracts/shards.js';
import { utterances, type UtteranceIngested } from '#contracts/utterances.js';
import { FolderStore } from '#storage/folder-store.js';
import { sha256Hex } from '#storage/object-store.js';
import type { TableFollower } from '#streaming/table-follower.js';
import { compactShards } from './compact-shards.js';
import { CompactionState } from './compaction-state.js';
import { planCompaction } from './plan-compaction.js';
import { experimentHoldId, heldSince, holdShards, releaseShards, whileHolding } from './shard-holds.js';
import { PredictionsScan, type SweptObjects, sweepObjects } from './sweep-objects.js';
import { TileStore } from '#rounds/tile-store.js';
import { TrainingIndex, type TrainingView } from '#index/training-index.js';

const settingsHash = '0'.repeat(16);
const version = 'v'.repeat(16);
const minuteMs = 60_000;
const done = (): Promise<void> => Promise.resolve();

let folder: string;
let store: FolderStore;
let state: CompactionState;
let tiles: TileStore | undefined;
/** The facts that a follower would give to the state. */
let tellUtterance: (fact: UtteranceIngested) => void;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-holds-'));
  store = new FolderStore(join(folder, 'bucket'));
  state = new CompactionState();
  const follower = {
    on: (topic: { noun: string }, handle: (key: string, fact: unknown, record: unknown) => void) => {
      if (topic.noun === utterances.noun) tellUtterance = (fact) => handle(fact.utteranceId, fact, { partition: 0, offset: '0' });
      return follower;
    },
  };
  state.followedBy(follower as unknown as TableFollower);
});
afterEach(async () => {
  await tiles?.close();
  tiles = undefined;
  rmSync(folder, { recursive: true, force: true });
});

/** An announced shard of one tile. */
async function seal(utteranceId: string): Promise<void> {
  const row: ShardRow = {
    ...{ tile: new Uint8Array(16 * 32).fill(utteranceId.length), utteranceId, version, tileIndex: 0, corpus: 'c', speaker: null },
    ...{ gender: null, category: 'happy', activation: null, valence: null },
  };
  const bytes = writeShard([row], featureSettings({ rows: 16, width: 32 }));
  const shardId = sha256Hex(bytes);
  await store.put(shardKey(settingsHash, shardId), bytes);
  tellUtterance({ utteranceId, version, withheld: false, split: 'train' } as UtteranceIngested);
  state.applyShard(shardId, {
    ...{
      shardId,
      stream: 'labelled',
      objectKey: shardKey(settingsHash, shardId),
      sizeBytes: bytes.byteLength,
      settingsHash,
      tile: [16, 32],
    },
    ...{ tileCount: 1, sealedAt: '2026-11-22T09:14:36.118Z' },
    utterances: [{ utteranceId, version, firstRow: 0, tileCount: 1, audioSec: 1, cutSec: 0 }],
  });
}

function viewNow(): TrainingView {
  const index = new TrainingIndex();
  for (const shard of state.shards.values()) {
    index.applyShard(shard.shardId, shard);
    for (const { utteranceId } of shard.utterances)
      index.applyUtterance(utteranceId, { version, labels: { category: 'happy' }, split: 'train', withheld: false });
  }
  index.caughtUp();
  return index.view();
}

/** Merges small shards, and deletes unannounced objects at once unless a reader holds them. */
async function compact(): Promise<SweptObjects> {
  const publisher = {
    publish: (_topic: unknown, ...facts: unknown[]) => {
      for (const fact of facts as ShardSealed[]) if (shardsLabelled.schema.safeParse(fact).success) state.applyShard(fact.shardId, fact);
      return done();
    },
    tombstone: (_topic: unknown, shardId: string) => {
      state.applyShard(shardId, null);
      return done();
    },
  };
  const plan = planCompaction(
    { shards: state.shards.values(), versionOf: (id) => state.versionOf(id) },
    { shardTiles: 10, deadShare: 0.2 },
  );
  const tools = { store, publisher, state, sync: done, verify: done };
  await compactShards(plan, tools);
  return sweepObjects({ ...tools, topicPrefix: 'undertone', graceMs: 0, dryRun: false, scan: new PredictionsScan() });
}

/** Acts like a later job in a process that has read nothing yet. */
async function missingOf(view: TrainingView): Promise<number> {
  await tiles?.close();
  rmSync(join(folder, 'cache'), { recursive: true, force: true });
  const connection = { endpoint: 'http://127.0.0.1:1', region: 'none', bucket: 'none', forcePathStyle: true };
  tiles = new TileStore(store, { folder: join(folder, 'cache'), limitBytes: 1e6, connection });
  return (await tiles.prepare(view.utterances, view.tile)).size;
}

const hold = (since: Date) => ({ id: experimentHoldId('small-1'), reader: 'experiment small-1', since });

describe('a reader that holds its view', () => {
  it('can still read it after small shards are merged, until it ends', async () => {
    for (const id of ['c/one', 'c/second', 'c/third one']) await seal(id);
    await holdShards(store, hold(new Date()), minuteMs);
    const view = viewNow();
    expect(await compact()).toMatchObject({ shardsDeleted: 0, waiting: 3, heldByReaders: 3 });
    expect(state.shards.size).toBe(1);
    expect(await missingOf(view)).toBe(0);
    expect(await missingOf(viewNow())).toBe(0);
    await releaseShards(store, experimentHoldId('small-1'));
    expect(await compact()).toMatchObject({ shardsDeleted: 3, waiting: 0, heldByReaders: 0 });
    expect(await missingOf(view)).toBe(3);
  });

  it('that was killed holds nothing once its note has expired, and the note is deleted', async () => {
    for (const id of ['c/one', 'c/second']) await seal(id);
    await holdShards(store, hold(new Date()), -1);
    expect(await compact()).toMatchObject({ shardsDeleted: 2, heldByReaders: 0 });
    expect(await store.head(holdKey(experimentHoldId('small-1')))).toBeNull();
  });

  it('that began after a shard was withdrawn does not hold it', async () => {
    for (const id of ['c/one', 'c/second']) await seal(id);
    const inAnHour = new Date(Date.now() + 60 * minuteMs);
    await holdShards(store, hold(inAnHour), 120 * minuteMs);
    expect(await compact()).toMatchObject({ shardsDeleted: 2, heldByReaders: 0 });
  });
});

describe('the note of a reader', () => {
  it('keeps its first start when renewed, and gets a new one after it expired', async () => {
    const [first, later] = [new Date('2026-11-22T09:00:00.000Z'), new Date('2026-11-22T10:00:00.000Z')];
    await holdShards(store, hold(first), minuteMs);
    await holdShards(store, hold(later), minuteMs);
    expect(await heldSince(store)).toEqual([first]);
    await holdShards(store, hold(first), -1);
    await holdShards(store, hold(later), minuteMs);
    expect(await heldSince(store)).toEqual([later]);
  });

  it('exists while a command works, and is deleted when it ends or fails', async () => {
    await whileHolding(store, 'a test', async (since) => expect(await heldSince(store)).toEqual([since]));
    expect(await heldSince(store)).toEqual([]);
    await expect(whileHolding(store, 'a test', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(await heldSince(store)).toEqual([]);
  });

  it('holds nothing if it cannot be read, and does not hide the others', async () => {
    await store.put(holdKey('broken'), 'no JSON');
    await store.put(holdKey('odd'), '{"since": "yesterday"}');
    await store.put('state/holds/not a note', '{}');
    const since = new Date('2026-11-22T09:00:00.000Z');
    await holdShards(store, hold(since), minuteMs);
    expect(await heldSince(store)).toEqual([since]);
  });
});
