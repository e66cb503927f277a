import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { extractFeatures } from '#audio/extract-features.js';
import { encodeWav } from '#audio/decode/encode-wav.js';
import { featureSettings, tileSizeBytes } from '#audio/feature-settings.js';
import { readShard } from '#audio/shard/shard-file.js';
import { corpusKey } from '#contracts/object-keys.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { FolderStore } from '#storage/folder-store.js';
import { sha256Hex } from '#storage/object-store.js';
import type { StreamRecord } from '#streaming/partition-worker.js';
import { ShardPartitionWorker, type ShardWorkshop } from './build-shards.js';
import { AudioMemory } from '#extraction/audio-memory.js';
import { MemoryBudget, TileMemory } from '#extraction/memory-budget.js';
import { PassedOver } from './passed-over.js';

const settings = featureSettings({ rows: 16, width: 32 });
const tileBytes = tileSizeBytes(settings);

let folder: string;
let store: FolderStore;
let published: { topic: string; fact: unknown }[];
let settled: string[];
let crashes: unknown[];
let workers: ShardPartitionWorker[];
/** The store takes a shard once this resolves. */
let untilStored: Promise<void>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-workers-'));
  store = new FolderStore(folder);
  [published, settled, crashes, workers, untilStored] = [[], [], [], [], Promise.resolve()];
});
afterEach(() => {
  for (const worker of workers) worker.abandon();
  rmSync(folder, { recursive: true, force: true });
});

function workerOf(
  changes: Partial<ShardWorkshop> = {},
  { isMine = () => true }: { isMine?: (corpus: string) => boolean } = {},
): ShardPartitionWorker {
  const publish: ShardWorkshop['publisher']['publish'] = (topic, ...facts) => {
    published.push(...facts.map((fact) => ({ topic: topic.noun, fact })));
    return Promise.resolve();
  };
  const workshop: ShardWorkshop = {
    store: {
      find: (key) => store.find(key),
      findRange: async (key, at, count) => (await store.find(key))?.bytes.subarray(at, at + count) ?? null,
      head: (key) => store.head(key),
      put: async (...words) => {
        await untilStored;
        return store.put(...words);
      },
    },
    publisher: { publish, publishAbout: (topic, facts) => publish(topic, ...facts) },
    pool: { extract: extractFeatures },
    memory: new AudioMemory(8e9),
    settings,
    sealing: { tiles: 1e9, bytes: 1e9, maxAgeMs: 1e9 },
    maxObjectBytes: 1e6,
    extractOptions: { silence: 'none' },
    onExtracted: () => undefined,
    giveBack: () => undefined,
    onSealed: () => undefined,
    ...changes,
  };
  const context = { partition: 0, settle: (offset: string) => settled.push(offset), crash: (error: unknown) => crashes.push(error) };
  const passedOver = new PassedOver({
    settle: context.settle,
    isMine,
    isElsewhere: (corpus) => !isMine(corpus),
    readAgain: () => Promise.resolve(),
  });
  const worker = new ShardPartitionWorker(workshop, context, passedOver);
  workers.push(worker);
  return worker;
}

/** A tone as a file; another pitch makes another file. */
function wavOf(pitchHz: number): Uint8Array {
  const samples = Float32Array.from({ length: 16_000 }, (_, i) => 0.5 * Math.sin((2 * Math.PI * pitchHz * i) / 16_000));
  return encodeWav([samples], { sampleRateHz: 16_000 });
}

async function record(name: string, offset: string, { pitchHz = 200, corpus = 'c' } = {}): Promise<StreamRecord<UtteranceIngested>> {
  const objectKey = corpusKey(corpus, name);
  const bytes = wavOf(pitchHz);
  const etag = (await store.put(objectKey, bytes)) ?? '';
  const fact: UtteranceIngested = {
    ...{ utteranceId: `${corpus}/${name}`, version: sha256Hex(bytes).slice(0, 16), corpus, objectKey, etag, sizeBytes: bytes.byteLength },
    ...{ labels: { category: 'happy' }, split: 'train', withheld: false, silence: 'none', ingestedAt: '2026-11-22T09:14:07.332Z' },
  };
  return { key: fact.utteranceId, fact, origin: { topic: 't', partition: 0, offset, key: null, value: null } };
}
const tombstone = (utteranceId: string, offset: string): StreamRecord<UtteranceIngested> => ({
  ...{ key: utteranceId, fact: null },
  origin: { topic: 't', partition: 0, offset, key: null, value: null },
});
const announced = (): ShardSealed[] => published.filter(({ topic }) => topic.startsWith('shards-')).map(({ fact }) => fact as ShardSealed);
const namesIn = (shard: ShardSealed | undefined): string[] => shard?.utterances.map(({ utteranceId }) => utteranceId) ?? [];

describe('the worker of a partition', () => {
  it('settles a record once the shard with its tiles is stored and announced', async () => {
    const worker = workerOf();
    let store = (): void => undefined;
    untilStored = new Promise((resolve) => (store = resolve));
    await worker.take(await record('a.wav', '0'));
    await worker.take(await record('b.wav', '1', { pitchHz: 300 }));
    expect(settled).toEqual([]);
    const drained = worker.drain();
    await nextTurn();
    expect([settled, announced()]).toEqual([[], []]);
    store();
    await drained;
    expect(settled).toEqual(['0', '1']);
    const [shard] = announced();
    expect(namesIn(shard)).toEqual(['c/a.wav', 'c/b.wav']);
    const found = await workersStoreFind(shard?.objectKey ?? '');
    expect(sha256Hex(found)).toBe(shard?.shardId);
    expect(readShard(found).count).toBe(shard?.tileCount);
    expect(crashes).toEqual([]);
  });

  it('seals a shard of each stream at the tile limit', async () => {
    const worker = workerOf({ sealing: { tiles: 1, bytes: 1e9, maxAgeMs: 1e9 } });
    const unlabelled = await record('b.wav', '1', { pitchHz: 300 });
    if (unlabelled.fact) unlabelled.fact.labels = {};
    await worker.take(await record('a.wav', '0'));
    await worker.take(unlabelled);
    await worker.drain();
    const found = announced().map(({ stream, utterances }) => [stream, utterances[0]?.utteranceId]);
    expect(found.sort()).toEqual([
      ['labelled', 'c/a.wav'],
      ['unlabelled', 'c/b.wav'],
    ]);
  });

  it('drops the tiles of a replaced or erased utterance, and settles its records', async () => {
    const worker = workerOf();
    await worker.take(await record('a.wav', '0'));
    await worker.take(await record('b.wav', '1'));
    await worker.take(await record('a.wav', '2', { pitchHz: 400 }));
    await worker.take(tombstone('c/b.wav', '3'));
    expect(settled).toEqual(['0', '1', '3']);
    await worker.drain();
    expect(settled).toEqual(['0', '1', '3', '2']);
    expect(announced().map(namesIn)).toEqual([['c/a.wav']]);
  });

  it('skips corpora with other settings', async () => {
    const worker = workerOf({}, { isMine: (corpus) => corpus === 'c' });
    await worker.take(await record('a.wav', '0', { corpus: 'other' }));
    await worker.drain();
    expect([settled, announced()]).toEqual([[], []]);
  });

  it('hints at an object that differs from its record, and settles the record', async () => {
    const worker = workerOf();
    const old = await record('a.wav', '0');
    await record('a.wav', '1', { pitchHz: 500 });
    await worker.take(old);
    expect(published).toMatchObject([{ topic: 'object-hints', fact: { key: 'corpora/c/a.wav', letGoVersion: old.fact?.version } }]);
    expect(settled).toEqual(['0']);
  });

  it('refuses a too large object before reading it', async () => {
    const worker = workerOf({ maxObjectBytes: 100 });
    await expect(worker.take(await record('a.wav', '0'))).rejects.toMatchObject({ code: 'AUDIO_TOO_LONG' });
    expect(settled).toEqual([]);
  });

  it('settles and announces nothing after it was abandoned', async () => {
    const holding = new TileMemory(1e9);
    const worker = workerOf({ memory: memoryOf(holding) });
    await worker.take(await record('a.wav', '0'));
    expect(holding.heldBytes).toBeGreaterThan(0);
    worker.abandon();
    expect([settled, announced(), holding.heldBytes]).toEqual([[], [], 0]);
  });
});

describe('workers that share the tile memory', () => {
  it('seal the largest open shard of any worker early, and hold at most the limit and one recording', async () => {
    const probe = new TileMemory(1e9);
    await workerOf({ memory: memoryOf(probe) }).take(await record('probe.wav', '0'));
    const recordingBytes = probe.heldBytes;
    expect(recordingBytes % tileBytes).toBe(0);

    const holding = new TileMemory(3 * recordingBytes);
    const [first, second] = [workerOf({ memory: memoryOf(holding) }), workerOf({ memory: memoryOf(holding) })];
    await first.take(await record('1.wav', '1', { pitchHz: 210 }));
    await first.take(await record('2.wav', '2', { pitchHz: 220 }));
    await second.take(await record('3.wav', '3', { pitchHz: 230 }));
    expect(announced()).toEqual([]);
    await second.take(await record('4.wav', '4', { pitchHz: 240 }));
    expect(holding.heldBytes).toBe(2 * recordingBytes);
    await first.drain();
    expect(announced().map(namesIn)).toEqual([['c/1.wav', 'c/2.wav']]);
    await second.drain();
    expect(holding.heldBytes).toBe(0);
    expect(settled).toEqual(['1', '2', '3', '4']);
  });

  it('wait while a closed shard has no memory to become a file', async () => {
    const storing = new MemoryBudget(1);
    let giveBack = (): void => undefined;
    const lent = storing.use(1, () => new Promise<void>((resolve) => (giveBack = resolve)));
    const worker = workerOf({ memory: memoryOf(new TileMemory(1), storing) });
    let isTaken = false;
    const taking = worker.take(await record('a.wav', '0')).then(() => (isTaken = true));
    while (!worker.isHeldUp) await nextTurn();
    for (let turns = 0; turns < 20; turns++) await nextTurn();
    expect(isTaken).toBe(false);
    giveBack();
    await Promise.all([lent, taking]);
    await worker.drain();
    expect(settled).toEqual(['0']);
  });
});

/** Enough memory to read anything. */
const memoryOf = (holding: TileMemory, storing = new MemoryBudget(1e9)) => ({
  holding,
  storing,
  read: <Result>(_: number, work: () => Promise<Result>) => work(),
});

const workersStoreFind = async (key: string): Promise<Uint8Array> => (await store.get(key)).bytes;
