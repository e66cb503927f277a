/** The cost of a round does not grow with the number of earlier rounds. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderStore } from '#storage/folder-store.js';
import type { Objects } from '#storage/object-store.js';
import { crown, listChampions } from '#evaluation/champions.js';
import { findCheckpoint } from './checkpoint-store.js';
import { lineageOf, modelsThatSaw } from './lineage.js';
import { MadeModels } from './made-models.fixture.js';
import { CheckpointPruner, pruneCheckpoints } from './prune-checkpoints.js';
import { Seen } from './seen.js';
import { type ViewUtterance, viewOf } from '#index/training-index.js';

const runId = 'made';
const rounds = 150;

let folder: string;
let store: FolderStore;
let calls: string[];

/** Records the requests to the real store. */
const watched = (): Objects =>
  new Proxy(store, {
    get: (real, name: keyof Objects) => {
      const method = real[name].bind(real) as (...words: unknown[]) => unknown;
      return (...words: unknown[]) => {
        calls.push(`${name} ${String(words[0])}`);
        return method(...words);
      };
    },
  });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-rounds-'));
  store = new FolderStore(folder);
  calls = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const utteranceOf = (round: number): ViewUtterance => ({
  ...{ utteranceId: `c/${round}.wav`, version: 'v', objectKey: `corpora/c/${round}.wav`, stream: 'labelled', split: 'train' },
  ...{
    labels: { category: 'happy', speakerId: `c/${round}` },
    withheld: false,
    shardId: 's',
    shardObjectKey: 'o',
    firstRow: 0,
    tileCount: 1,
  },
});

async function seenAfter(count: number, seen = new Seen(), from = 1): Promise<Seen> {
  for (let round = from; round <= count; round++) await seen.begin(store, runId, { round, view: viewOf('h', [utteranceOf(round)]) });
  return seen;
}

describe('the utterances that a run has seen', () => {
  it('have a list that stays short, and are read back whole', async () => {
    const seen = await seenAfter(rounds);
    expect(seen.parts.length).toBeLessThanOrEqual(64);
    expect(seen.parts.reduce((sum, { parts = 1 }) => sum + parts, 0)).toBe(rounds);
    const read = await Seen.read(store, JSON.parse(JSON.stringify(seen.parts)) as Seen['parts']);
    expect(read.versions).toBe(rounds);
    for (const round of [1, 63, 64, 65, 128, rounds]) expect(read.roundOf(utteranceOf(round))).toBe(round);
    expect(read.speakerIds.size).toBe(rounds);
    expect([read.digest, read.parts]).toEqual([seen.digest, seen.parts]);
  });

  it('continue the same after a restart', async () => {
    const whole = await seenAfter(rounds);
    const half = await seenAfter(70);
    const resumed = await seenAfter(rounds, await Seen.read(store, half.parts), 71);
    expect([resumed.digest, resumed.parts]).toEqual([whole.digest, whole.parts]);
  });

  it('are read from an old list that names each part', async () => {
    const seen = await seenAfter(3);
    const later = await seenAfter(64, await Seen.read(store, seen.parts), 4);
    expect(later.parts.every(({ parts }) => parts === undefined)).toBe(true);
    expect((await Seen.read(store, later.parts)).versions).toBe(64);
  });

  it('give the lineage of a model, with folded rounds or without', async () => {
    await new MadeModels(store, runId).write({ step: 400, right: 5 });
    const made = await findCheckpoint(store, runId, 400);
    if (!made) throw new Error('there is no model');
    const { parts } = await seenAfter(rounds);
    const checkpoint = { ...made, seen: { ...made.seen, parts } };
    await store.put(`models/${runId}/000000400/manifest.json`, JSON.stringify(checkpoint));
    const { seen, byCorpus } = await lineageOf(store, checkpoint);
    expect(byCorpus).toEqual({ c: rounds });
    expect(seen.map(({ round }) => round)).toEqual(Array.from({ length: rounds }, (_, i) => i + 1));
    expect(await modelsThatSaw(store, 'c/7.wav')).toEqual([{ runId, version: 'v', round: 7, models: [400] }]);
  });
});

describe('pruning after a round', () => {
  const pruning = { keepModels: 2, isProtected: ({ step }: { step: number }) => step === 100 };

  it('reads the manifests once, and later nothing of earlier rounds', async () => {
    const models = new MadeModels(store, runId);
    for (let step = 100; step <= 500; step += 100) await models.write({ step, right: 5 });
    const pruner = new CheckpointPruner(watched(), runId);
    expect(await pruner.prune(pruning)).toBe(2);
    expect(calls.filter((call) => call.startsWith('findJson'))).toHaveLength(5);
    const costs: number[] = [];
    for (let step = 600; step <= 1000; step += 100) {
      for (const each of [step - 50, step]) {
        await models.write({ step: each, right: 5, complete: each === step });
        pruner.saved({ step: each, complete: each === step });
      }
      calls = [];
      // The weights of a model that is now too old, and manifest and weights of the checkpoint within the round.
      expect(await pruner.prune(pruning)).toBe(3);
      costs.push(calls.length);
      expect(calls.filter((call) => /^find|^list models\/made\/$/.test(call))).toEqual([]);
    }
    expect(new Set(costs).size).toBe(1);
    expect(await pruneCheckpoints(store, runId, pruning), 'to another who reads all').toBe(0);
  });

  it('deletes the weights of a former champion', async () => {
    const models = new MadeModels(store, runId);
    for (const step of [100, 200, 300]) await models.write({ step, right: 5 });
    const pruner = new CheckpointPruner(store, runId);
    expect(await pruner.prune(pruning)).toBe(0);
    expect(await pruner.prune({ ...pruning, isProtected: () => false })).toBe(1);
  });
});

describe('the champions', () => {
  it('are each read once by a process, however often it asks', async () => {
    const own = watched();
    const model = { runId, step: 1, manifestKey: 'm', sha256: 'f'.repeat(64) };
    for (let after: number | null = null, number = 1; number <= 5; after = number++)
      await crown(store, { target: 'emotion', model, why: 'a test', by: 'person' }, { after });
    expect(await listChampions(own)).toHaveLength(5);
    calls = [];
    await crown(store, { target: 'emotion', model, why: 'a test', by: 'person' }, { after: 5 });
    expect((await listChampions(own)).map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(calls.filter((call) => call.startsWith('findJson'))).toEqual(['findJson champions/6.json']);
  });
});
