/** A training run against the real object store: a run that was stopped and resumed equals one that never stopped. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { featureSettings } from '#audio/feature-settings.js';
import { writeShard, type ShardRow } from '#audio/shard/shard-file.js';
import { emotionCategories, genders } from '#contracts/labels.js';
import { runLeaseKey, shardKey } from '#contracts/object-keys.js';
import { chooseBackend } from '#tensor/backend.js';
import { readPredictions } from '#evaluation/predictions-file.js';
import { readStoreConnection } from '#service/connection-config.js';
import { ObjectStore, sha256Hex } from '#storage/object-store.js';
import { findCheckpoint, newestCheckpoints, readWeights, type Checkpoint } from '#rounds/checkpoint-store.js';
import { Lease } from '#storage/lease.js';
import { lineageOf, modelsThatSaw } from '#rounds/lineage.js';
import { pruneCheckpoints } from '#rounds/prune-checkpoints.js';
import { RoundErasures } from '#rounds/round-erasures.js';
import { TileStore } from '#rounds/tile-store.js';
import { configHashOf, noEvents, plainRounds, type RunEvents, type RunSettings } from '#rounds/run-settings.js';
import { TrainingRun } from '#rounds/training-run.js';
import { viewOf, type TrainingView, type ViewCounts, type ViewUtterance } from '#index/training-index.js';

const connection = readStoreConnection({ ...process.env, S3_BUCKET: `run-${randomBytes(4).toString('hex')}` });
const store = new ObjectStore(connection);
const folder = mkdtempSync(join(tmpdir(), 'undertone-run-'));
const settings: RunSettings = {
  runId: 'run',
  model: {
    filters: [2, 2],
    pools: [
      [2, 4],
      [4, 4],
    ],
    dense: 4,
    headFilters: 2,
  },
  batch: { labelled: 2, unlabelled: 2 },
  roundSteps: 6,
  ...plainRounds,
  replayShare: 0.5,
  reportEvery: 1,
  checkpointEvery: 3,
  statisticsTiles: 8,
  seed: 5,
  codeVersion: 'test',
};
let view: TrainingView;

beforeAll(async () => {
  await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => undefined });
  await store.ensureBucket();
  view = await makeView();
});

const opened: TileStore[] = [];
afterAll(async () => {
  await Promise.all(opened.map((tiles) => tiles.close()));
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** 16 utterances of one tile each in one shard: four speakers, one of them test, one tile withheld. */
async function makeView(): Promise<TrainingView> {
  const rows: ShardRow[] = Array.from({ length: 16 }, (_, i) => ({
    tile: Uint8Array.from({ length: 16 * 32 }, (_pixel, at) => (at * (i + 3)) % 251),
    utteranceId: `c/${String(i).padStart(2, '0')}`,
    version: 'v',
    tileIndex: 0,
    corpus: 'c',
    speaker: `c/s${i % 4}`,
    gender: genders[i % 2] ?? null,
    category: i < 10 ? (emotionCategories[i % 4] ?? null) : null,
    activation: null,
    valence: null,
  }));
  const bytes = writeShard(rows, featureSettings({ rows: 16, width: 32 }));
  const shardId = sha256Hex(bytes);
  await store.put(shardKey('0'.repeat(16), shardId), bytes);
  const utterances = rows.map(
    (row, firstRow): ViewUtterance => ({
      utteranceId: row.utteranceId,
      version: 'v',
      objectKey: row.utteranceId,
      stream: row.category ? 'labelled' : 'unlabelled',
      labels: {
        speakerId: row.speaker ?? undefined,
        gender: genders[firstRow % 2],
        category: row.category ? emotionCategories[firstRow % 4] : undefined,
      },
      split: firstRow % 4 === 3 ? 'test' : 'train',
      withheld: firstRow === 4,
      shardId,
      shardObjectKey: shardKey('0'.repeat(16), shardId),
      firstRow,
      tileCount: 1,
    }),
  );
  return viewOf('hash', utterances);
}

function openTiles({ cache = 'cache', limitBytes = 1e6 } = {}): TileStore {
  const tiles = new TileStore(store, { folder: join(folder, cache), limitBytes, connection });
  opened.push(tiles);
  return tiles;
}

/** @returns the paths of the shard files in a cache */
const cachedIn = (cache: string): string[] =>
  readdirSync(join(folder, cache), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.arrow'))
    .map((name) => join(folder, cache, name));

/** @returns the utterance in another version, in its own shard */
async function newVersionOf(utterance: ViewUtterance): Promise<ViewUtterance> {
  const row = { utteranceId: utterance.utteranceId, version: 'w', tileIndex: 0, corpus: 'c', speaker: utterance.labels.speakerId ?? null };
  const labels = { gender: null, category: null, activation: null, valence: null };
  const bytes = writeShard([{ ...row, ...labels, tile: new Uint8Array(16 * 32).fill(7) }], featureSettings({ rows: 16, width: 32 }));
  const shardId = sha256Hex(bytes);
  const shardObjectKey = shardKey('0'.repeat(16), shardId);
  await store.put(shardObjectKey, bytes);
  return { ...utterance, version: 'w', shardId, shardObjectKey, firstRow: 0 };
}

/** @param cacheBytes the limit of the shard cache */
async function openRun(
  runId: string,
  events: Partial<RunEvents> = {},
  {
    cacheBytes = 1e6,
    cache,
    tiles = openTiles({ cache, limitBytes: cacheBytes }),
    ...changes
  }: Partial<RunSettings> & { cacheBytes?: number; cache?: string; tiles?: TileStore } = {},
): Promise<TrainingRun> {
  const lease = await Lease.acquire(store, runLeaseKey(runId), 'test', () => undefined);
  const run = new TrainingRun({ ...settings, ...changes, runId }, store, tiles, lease.epoch, { ...noEvents, ...events });
  await run.restore();
  return run;
}

async function newestOf(runId: string): Promise<Checkpoint> {
  for await (const checkpoint of newestCheckpoints(store, runId, () => undefined)) return checkpoint;
  throw new Error(`${runId} has no checkpoint`);
}

/** Runs two rounds on the same view. With `dieAt` the run dies once at that step and is opened again. */
async function twoRounds(runId: string, dieAt?: number): Promise<Checkpoint> {
  let last: Checkpoint | undefined;
  let isAlive = true;
  const saved = (checkpoint: Checkpoint): void => {
    last = checkpoint;
  };
  let run = await openRun(runId, {
    saved,
    stepTrained: ({ step }) => {
      if (step === dieAt) throw new Error('killed');
    },
  });
  for (let round = 0; round < 2; round++) {
    try {
      await run.runRound(view);
    } catch (error) {
      expect((error as Error).message).toBe('killed');
      isAlive = false;
    }
    if (!isAlive) {
      run = await openRun(runId, { saved });
      isAlive = true;
      await run.runRound(view);
    }
  }
  return last as Checkpoint;
}

it('reaches the same weights to the bit after a kill between checkpoints and a resume', async () => {
  const whole = await twoRounds('whole');
  const killed = await twoRounds('killed', 5);
  expect(killed).toMatchObject({ round: 2, step: 12, complete: true, sampler: whole.sampler, speakers: ['c/s0', 'c/s1', 'c/s2'] });
  expect(Buffer.compare(await readWeights(store, killed), await readWeights(store, whole))).toBe(0);
  expect(killed.predictions.map(({ task, rows }) => [task, rows])).toEqual([
    ['emotion', 2],
    ['gender', 4],
    ['speaker', 1],
  ]);
});

it('writes no checkpoint once another process holds the lease', async () => {
  const run = await openRun('contested');
  await Lease.acquire(store, runLeaseKey('contested'), 'test', () => undefined);
  await expect(run.runRound(view)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect(await (await openRun('contested')).restore()).toBeNull();
});

it('ends a diverging run, and keeps the last checkpoint with finite numbers', async () => {
  const wild = { model: { ...settings.model, update: 'joint', learningRate: 1e30 }, checkpointEvery: 1 };
  const saved: number[] = [];
  const run = await openRun('wild', { saved: ({ step }) => saved.push(step) }, wild);
  await expect(run.runRound(view)).rejects.toMatchObject({
    code: 'MODEL_DIVERGED',
    message: expect.stringMatching(/loss is no longer a number after step \d\. Lower learningRate/),
  });
  expect(saved).toEqual([1]);
  expect(await (await openRun('wild', {}, wild)).restore()).toMatchObject({ step: saved.at(-1), complete: false });
});

it('seeds the weights too, unless the model has its own seed', () => {
  const hashOf = (model: RunSettings['model'], seed: number) => configHashOf({ model, batch: settings.batch, seed });
  expect(hashOf({}, 1)).toBe(hashOf({ seed: 1 }, 1));
  expect(hashOf({}, 2)).toBe(hashOf({ seed: 2 }, 2));
  expect(hashOf({}, 2)).not.toBe(hashOf({ seed: 1 }, 2));
});

it('continues without a lost shard, and reports it', async () => {
  const gone: string[] = [];
  const run = await openRun('gone', { shardsGone: (ids) => gone.push(...ids) });
  const lost: ViewUtterance = {
    ...(view.utterances[0] as ViewUtterance),
    utteranceId: 'c/lost',
    shardId: 'f'.repeat(64),
    shardObjectKey: shardKey('0'.repeat(16), 'f'.repeat(64)),
  };
  expect(await run.runRound(viewOf('hash', [...view.utterances, lost]))).toBe(true);
  expect(gone).toEqual(['f'.repeat(64)]);
});

it('reads shards from the store that do not fit into the cache, and learns the same', async () => {
  const weightsOf = async (runId: string, limitBytes: number): Promise<Uint8Array> => {
    let last: Checkpoint | undefined;
    const run = await openRun(runId, { saved: (checkpoint) => (last = checkpoint) }, { cacheBytes: limitBytes, cache: runId });
    expect(await run.runRound(view)).toBe(true);
    return readWeights(store, last as Checkpoint);
  };
  const cached = await weightsOf('cached', 1e6);
  expect(cachedIn('cached').map((path) => basename(path))).toEqual([`${view.utterances[0]?.shardId}.arrow`]);
  const remote = await weightsOf('remote', 1000);
  expect(cachedIn('remote')).toEqual([]);
  expect(Buffer.compare(remote, cached)).toBe(0);
});

it.skipIf(!existsSync('/dev/full'))('reads from the store while the disk of the cache is full', async () => {
  const tiles = openTiles({ cache: 'full' });
  const [own = ''] = readdirSync(join(folder, 'full'));
  const [first] = view.utterances as [ViewUtterance];
  symlinkSync('/dev/full', join(folder, 'full', own, `${first.shardId}.arrow.part`));
  expect(await tiles.prepare(view.utterances)).toEqual(new Set());
  expect([tiles.remoteShards, cachedIn('full')]).toEqual([1, []]);
  expect([...(await tiles.read([{ utterance: first, row: 1 }])).subarray(0, 4)]).toEqual([0, 4, 8, 12]);
});

it('fetches a damaged file of the cache again', async () => {
  const before = openTiles({ cache: 'damaged' });
  await before.prepare(view.utterances);
  await before.close();
  for (const path of cachedIn('damaged')) writeFileSync(path, 'half a sh');
  const tiles = openTiles({ cache: 'damaged' });
  expect(await tiles.prepare(view.utterances)).toEqual(new Set());
  expect(cachedIn('damaged').map((path) => sha256Hex(readFileSync(path)))).toEqual([view.utterances[0]?.shardId]);
  const [first] = view.utterances as [ViewUtterance];
  expect([...(await tiles.read([{ utterance: first, row: 1 }])).subarray(0, 4)]).toEqual([0, 4, 8, 12]);
});

it('does nothing without training utterances', async () => {
  const run = await openRun('idle');
  expect(
    await run.runRound(
      viewOf(
        'hash',
        view.utterances.filter((each) => each.split === 'test'),
      ),
    ),
  ).toBe(false);
});

describe('rounds', () => {
  /** The utterances at these places of the view. */
  const part = (...places: number[]): TrainingView =>
    viewOf(
      'hash',
      places.map((place) => view.utterances[place] as ViewUtterance),
    );
  const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

  it('learn new utterances later, and continue with the old ones', async () => {
    const started: { round: number; fresh: ViewCounts; all: ViewCounts }[] = [];
    const run = await openRun('replay', {
      roundStarted: ({ round, freshTiles, tiles }) => started.push({ round, fresh: freshTiles, all: tiles }),
    });
    await run.runRound(part(...range(0, 8)));
    await run.runRound(part(...range(0, 12)));
    await run.runRound(part(...range(0, 12)));
    // Among 0 to 7, two are of the test speaker and one is withheld. Among 8 to 11, one is of the test speaker; 8 and 9 are labelled.
    expect(started).toEqual([
      { round: 1, fresh: { labelled: 5, unlabelled: 0 }, all: { labelled: 5, unlabelled: 0 } },
      { round: 2, fresh: { labelled: 2, unlabelled: 1 }, all: { labelled: 7, unlabelled: 1 } },
      { round: 3, fresh: { labelled: 0, unlabelled: 0 }, all: { labelled: 7, unlabelled: 1 } },
    ]);
    const newest = await newestOf('replay');
    expect(newest.seen.parts.map(({ round, utterances }) => [round, utterances])).toEqual([
      [1, 5],
      [2, 3],
    ]);
    expect(newest).toMatchObject({ round: 3, step: 18, parent: { step: 12 }, seen: { versions: 8 } });
  });

  it('treat a new version of an utterance as new', async () => {
    const fresh: ViewCounts[] = [];
    const run = await openRun('relabelled', { roundStarted: ({ freshTiles }) => fresh.push(freshTiles) });
    await run.runRound(view);
    const [first, ...rest] = view.utterances as [ViewUtterance, ...ViewUtterance[]];
    await run.runRound(viewOf('hash', [{ ...(await newVersionOf(first)), labels: { ...first.labels, category: undefined } }, ...rest]));
    expect(fresh[1]).toEqual({ labelled: 0, unlabelled: 1 });
  });

  it('use an utterance in no batch and no score after its erasure', async () => {
    const erased: { step: number; utterances: number }[] = [];
    const held = (view.utterances[3] as ViewUtterance).utteranceId;
    const drawn: string[][] = [];
    const tiles = openTiles();
    const read = tiles.read.bind(tiles);
    tiles.read = (refs) => {
      drawn.push(refs.map(({ utterance }) => utterance.utteranceId));
      return read(refs);
    };
    const events: Partial<RunEvents> = {
      erased: (facts) => erased.push(facts),
      stepTrained: ({ step }) => {
        if (step === 2) erasures.add([held, 'c/00', 'c/unknown']);
      },
    };
    const erasures = new RoundErasures();
    const run = await openRun('erased', events, { tiles });
    await run.runRound(view, { erasures });
    expect(erased).toEqual([{ step: 2, utterances: 2 }]);
    // Batches that were read ahead are read again without it. Two were already in use.
    const after = drawn.slice(5).flat();
    expect(after.length).toBeGreaterThan(20);
    expect(after).not.toContain('c/00');
    const newest = await newestOf('erased');
    expect(newest.erasedInRound).toBe(2);
    const [fact] = newest.predictions.filter(({ task }) => task === 'emotion');
    const scored = readPredictions((await store.get(fact?.objectKey ?? '')).bytes).map(({ utteranceId }) => utteranceId);
    expect(scored).toEqual(['c/07']);
  });

  it('use an utterance in no batch if it is erased while the round reads its shards', async () => {
    const erased: number[] = [];
    const run = await openRun('erased-early', { erased: ({ step }) => erased.push(step) });
    const erasures = new RoundErasures();
    const running = run.runRound(view, { erasures });
    erasures.add(['c/00']);
    await running;
    expect(erased).toEqual([0]);
    expect((await newestOf('erased-early')).erasedInRound).toBe(1);
  });

  it('end completely at the time limit, and the next round has all its steps', async () => {
    const ended: [string, number][] = [];
    const facts: Partial<RunEvents> = { roundFinished: ({ ended: by, step }) => ended.push([by, step]) };
    const hurried = await openRun('hurried', facts, { roundMaxSec: 1e-9 });
    expect(await hurried.runRound(view)).toBe(true);
    const patient = await openRun('hurried', facts);
    expect(await patient.runRound(view)).toBe(true);
    expect(ended).toEqual([
      ['time', 1],
      ['steps', 7],
    ]);
    expect(await newestOf('hurried')).toMatchObject({ complete: true, roundStartStep: 1, roundSteps: 6 });
  });

  it('stop early and keep the best model, also after a kill and a resume', async () => {
    const dev = viewOf(
      'hash',
      view.utterances.map((utterance, i) => ({
        ...utterance,
        // Six speakers of one utterance each: two that train, and five for dev.
        labels: {
          ...utterance.labels,
          speakerId: i % 2 === 0 ? utterance.labels.speakerId : `c/dev${i}`,
          category: emotionCategories[i % 4],
        },
        split: i % 2 === 0 ? ('train' as const) : ('dev' as const),
        withheld: false,
      })),
    );
    const settings = { roundSteps: 60, checkpointEvery: 2, patience: 3, fewestDevSpeakers: 5 };
    const checks: { step: number; ua: number }[] = [];
    const whole = await openRun('checked', { checked: ({ step, ua }) => checks.push({ step, ua }) }, settings);
    expect(await whole.runRound(dev)).toBe(true);
    const left = await newestOf('checked');
    const best = checks.reduce((a, b) => (b.ua > a.ua ? b : a));
    expect(left).toMatchObject({ complete: true, weightsStep: best.step, best: { step: best.step, ua: best.ua, since: 3 } });
    expect(left.step).toBe(best.step + 6);
    expect(left.step).toBeLessThan(60);
    const killed = await openRun(
      'checked-killed',
      {
        stepTrained: ({ step }) => {
          if (step === best.step + 3) throw new Error('killed');
        },
      },
      settings,
    );
    await expect(killed.runRound(dev)).rejects.toThrow('killed');
    await (await openRun('checked-killed', {}, settings)).runRound(dev);
    const resumed = await newestOf('checked-killed');
    expect(resumed).toMatchObject({ step: left.step, best: left.best, weightsStep: left.weightsStep, sampler: left.sampler });
    expect(resumed.weights.sha256).toBe(left.weights.sha256);
  });

  it('learn differently with a decaying rate, and repeat exactly after a resume', async () => {
    const cosine = { rate: { schedule: 'cosine', warmupSteps: 2 } } as const;
    await (await openRun('cosine', {}, cosine)).runRound(view);
    await (await openRun('constant')).runRound(view);
    const dying: Partial<RunEvents> = {
      stepTrained: ({ step }) => {
        if (step === 5) throw new Error('killed');
      },
    };
    await expect((await openRun('cosine-killed', dying, cosine)).runRound(view)).rejects.toThrow('killed');
    await (await openRun('cosine-killed', {}, cosine)).runRound(view);
    const [whole, killed, constant] = [await newestOf('cosine'), await newestOf('cosine-killed'), await newestOf('constant')];
    expect(killed.weights.sha256).toBe(whole.weights.sha256);
    expect(constant.weights.sha256).not.toBe(whole.weights.sha256);
  });

  it('delete checkpoints within finished rounds and old weights, but keep champions and lineage', async () => {
    const run = await openRun('pruned');
    for (let round = 0; round < 3; round++) await run.runRound(view);
    const isProtected = ({ step }: Pick<Checkpoint, 'step'>): boolean => step === 6;
    const isThere = async (step: number) => (await findCheckpoint(store, 'pruned', step)) !== null;
    expect(await isThere(3)).toBe(true);
    expect(await pruneCheckpoints(store, 'pruned', { keepModels: 1, isProtected })).toBe(3 * 2 + 1);
    expect([await isThere(3), await isThere(9), await isThere(15)]).toEqual([false, false, false]);
    const [champion, old, newest] = await Promise.all([6, 12, 18].map((step) => findCheckpoint(store, 'pruned', step)));
    expect((await readWeights(store, champion as Checkpoint)).byteLength).toBeGreaterThan(0);
    expect((await readWeights(store, newest as Checkpoint)).byteLength).toBeGreaterThan(0);
    await expect(readWeights(store, old as Checkpoint)).rejects.toMatchObject({ code: 'OBJECT_GONE' });
    expect(await pruneCheckpoints(store, 'pruned', { keepModels: 1, isProtected })).toBe(0);
    expect((await lineageOf(store, newest as Checkpoint)).parents.map(({ step }) => step)).toEqual([12, 6]);
    expect((await (await openRun('pruned')).runRound(view)) && (await newestOf('pruned')).step).toBe(24);
  });
});

describe('lineage', () => {
  it('names the exact versions behind a model, and the models behind which an utterance is', async () => {
    const run = await openRun('lineage');
    const utterances = view.utterances as [ViewUtterance, ...ViewUtterance[]];
    await run.runRound(viewOf('hash', utterances.slice(0, 6)));
    await run.runRound(viewOf('hash', [await newVersionOf(utterances[0]), ...utterances.slice(1, 9)]));
    const newest = await newestOf('lineage');
    const { seen, byCorpus } = await lineageOf(store, newest);
    expect(seen.map(({ round, shards }) => [round, ...Object.values(shards).flat()])).toEqual([
      [1, 'c/00@v', 'c/01@v', 'c/02@v', 'c/05@v'],
      [2, 'c/00@w', 'c/06@v', 'c/08@v'],
    ]);
    expect(byCorpus).toEqual({ c: 7 });
    const inLineage = async (utteranceId: string) => (await modelsThatSaw(store, utteranceId)).filter(({ runId }) => runId === 'lineage');
    expect(await inLineage('c/00')).toEqual([
      { runId: 'lineage', version: 'v', round: 1, models: [6, 12] },
      { runId: 'lineage', version: 'w', round: 2, models: [12] },
    ]);
    expect(await inLineage('c/08')).toEqual([{ runId: 'lineage', version: 'v', round: 2, models: [12] }]);
    expect(await inLineage('c/07'), 'of a test speaker').toEqual([]);
    expect(await inLineage('c/04'), 'withheld').toEqual([]);
  });
});
