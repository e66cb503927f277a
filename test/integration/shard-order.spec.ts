/** Features puts a shard, then announces it, then settles its records. A kill between any two calls leaves no false claim. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { extractFeatures } from '#audio/extract-features.js';
import { featureSettings } from '#audio/feature-settings.js';
import { corpusKey } from '#contracts/object-keys.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { ShardPartitionWorker, type ShardWorkshop } from '../../apps/features/src/build-shards.js';
import { PassedOver } from '../../apps/features/src/passed-over.js';
import { AudioMemory } from '#extraction/audio-memory.js';
import { sha256Hex } from '#storage/object-store.js';
import { until } from '../chaos/stream-under-test.js';
import { toneWav } from './made-corpus.js';
import { MadeShards, Mortal } from './made-shards.js';

let made: MadeShards;
beforeAll(async () => {
  made = await new MadeShards().prepare();
});
afterAll(async () => made.close());

/** Runs the worker of one partition in a process that `mortal` can kill. @returns the settled records and the end of the worker */
async function lifeOf(mortal: Mortal, utterance: UtteranceIngested): Promise<{ settled: string[]; crashes: unknown[] }> {
  const settled: string[] = [];
  const crashes: unknown[] = [];
  const workshop: ShardWorkshop = {
    store: mortal.store(made.store) as typeof made.store,
    publisher: mortal.publisher(made.publisher),
    // Without threads, because the test concerns later steps.
    pool: { extract: extractFeatures },
    memory: new AudioMemory(8e9),
    settings: featureSettings({}),
    sealing: { tiles: 1, bytes: 1e9, maxAgeMs: 60_000 },
    maxObjectBytes: 1e9,
    extractOptions: { silence: 'none' },
    onExtracted: () => undefined,
    giveBack: () => undefined,
    onSealed: () => undefined,
  };
  const settle = (offset: string): void => {
    if (mortal.survived) settled.push(offset);
  };
  const passedOver = new PassedOver({ settle, isMine: () => true, isElsewhere: () => false, readAgain: () => Promise.resolve() });
  const worker = new ShardPartitionWorker(workshop, { partition: 0, settle, crash: (error) => crashes.push(error) }, passedOver);
  const origin = { topic: 'utterances', partition: 0, offset: '7', key: null, value: null };
  await worker.take({ key: utterance.utteranceId, fact: utterance, origin });
  await until(
    () => 'an end',
    () => settled.length + crashes.length > 0,
  );
  worker.abandon();
  return { settled, crashes };
}

async function ingest(path: string): Promise<UtteranceIngested> {
  const objectKey = corpusKey('order', path);
  await made.store.put(objectKey, toneWav({ pitchHz: 100 + path.length * 20, durationSec: 6 }));
  const head = await made.store.head(objectKey);
  return {
    ...{ utteranceId: `order/${path}`, version: '0123456789abcdef', corpus: 'order', objectKey, etag: head?.etag ?? '' },
    ...{
      sizeBytes: head?.sizeBytes ?? 0,
      labels: {},
      split: 'train',
      withheld: false,
      silence: 'none',
      ingestedAt: new Date().toISOString(),
    },
  };
}

/** Tells if a shard with the utterance is stored, and if it is announced. */
async function stateOf({ utteranceId }: UtteranceIngested, keysBefore: readonly string[]): Promise<{ stored: number; announced: number }> {
  const holding = [...(await made.announced()).values()].filter(({ utterances }) =>
    utterances.some((each) => each.utteranceId === utteranceId),
  );
  const stored = (await made.keys('shards/')).filter((key) => !keysBefore.includes(key));
  for (const { objectKey, shardId, settingsHash, tileCount } of holding) {
    expect(stored, 'what is announced is there').toContain(objectKey);
    expect(sha256Hex((await made.store.get(objectKey)).bytes)).toBe(shardId);
    expect(objectKey).toBe(`shards/${settingsHash}/${shardId}.arrow`);
    expect(tileCount, 'whole, though a shard is full with one tile').toBe(3);
  }
  return { stored: stored.length, announced: holding.length };
}

it.each([
  { killed: 'before the put', call: 1, done: false, leaves: { stored: 0, announced: 0 } },
  { killed: 'after the put', call: 1, done: true, leaves: { stored: 1, announced: 0 } },
  { killed: 'before the announcement', call: 2, done: false, leaves: { stored: 1, announced: 0 } },
  { killed: 'after the announcement, before it is answered', call: 2, done: true, leaves: { stored: 1, announced: 1 } },
])('settles nothing when killed $killed, and makes the same shard after a restart', async ({ killed, call, done, leaves }) => {
  const utterance = await ingest(`${killed.replaceAll(/\W/g, '-')}.wav`);
  const keysBefore = await made.keys('shards/');
  const mortal = new Mortal();
  mortal.willDieAt(call, done);
  expect(await lifeOf(mortal, utterance)).toEqual({ settled: [], crashes: [new Error('killed')] });
  expect(await stateOf(utterance, keysBefore)).toEqual(leaves);

  mortal.willDieAt(Infinity, false);
  expect(await lifeOf(mortal, utterance)).toEqual({ settled: ['7'], crashes: [] });
  expect(await stateOf(utterance, keysBefore)).toEqual({ stored: 1, announced: 1 });
});
