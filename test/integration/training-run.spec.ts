/** A training run against the real object store: stopped and taken up again, it is the run that never stopped. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { featureSettings } from '#audio/feature-settings.js';
import { writeShard, type ShardRow } from '#audio/shard-file.js';
import { emotionCategories, genders } from '#contracts/labels.js';
import { chooseBackend } from '#model/backend.js';
import { readStoreConnection } from '#service/connection-config.js';
import { ObjectStore, sha256Hex } from '#storage/object-store.js';
import { readWeights, type Checkpoint } from '#training/checkpoint-store.js';
import { RunLease } from '#training/run-lease.js';
import { TileStore } from '#training/tile-store.js';
import { configHashOf, TrainingRun, type RunEvents, type RunSettings } from '#training/training-run.js';
import { viewOf, type TrainingView, type ViewUtterance } from '#training/training-index.js';

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
  await store.put(`shards/${shardId}.arrow`, bytes);
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
      shardObjectKey: `shards/${shardId}.arrow`,
      firstRow,
      tileCount: 1,
    }),
  );
  return viewOf('hash', utterances);
}

const silent: RunEvents = {
  roundStarted: () => undefined,
  stepTrained: () => undefined,
  shardsGone: () => undefined,
  saved: () => undefined,
  checkpointRefused: () => undefined,
  roundFinished: () => undefined,
};

/** @param limitBytes of the shard cache */
async function openRun(
  runId: string,
  events: Partial<RunEvents> = {},
  limitBytes = 1e6,
  changes: Partial<RunSettings> = {},
): Promise<TrainingRun> {
  const lease = await RunLease.acquire(store, runId, 'test', () => undefined);
  const tiles = new TileStore(store, { folder, limitBytes, connection });
  opened.push(tiles);
  const run = new TrainingRun({ ...settings, ...changes, runId }, store, tiles, lease.epoch, { ...silent, ...events });
  await run.restore();
  return run;
}

/** Two rounds on the same view; where `dieAt` is given, the run dies once at that step and is opened anew. */
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

it('killed between checkpoints and taken up again, ends in the same weights to the bit', async () => {
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

it('writes no checkpoint once another holds the lease', async () => {
  const run = await openRun('contested');
  await RunLease.acquire(store, 'contested', 'test', () => undefined);
  await expect(run.runRound(view)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect(await (await openRun('contested')).restore()).toBeNull();
});

it('a run that diverges ends, and keeps the last checkpoint whose numbers are finite', async () => {
  const wild = { model: { ...settings.model, update: 'joint', learningRate: 1e30 }, checkpointEvery: 1 };
  const saved: number[] = [];
  const run = await openRun('wild', { saved: ({ step }) => saved.push(step) }, 1e6, wild);
  await expect(run.runRound(view)).rejects.toMatchObject({
    code: 'MODEL_DIVERGED',
    message: expect.stringMatching(/loss is no longer a number after step \d\. Lower learningRate/),
  });
  expect(saved).toEqual([1]);
  expect(await (await openRun('wild', {}, 1e6, wild)).restore()).toMatchObject({ step: saved.at(-1), complete: false });
});

it('its seed is that of weights too, unless the model has one of its own', () => {
  const hashOf = (model: RunSettings['model'], seed: number) => configHashOf({ model, batch: settings.batch, seed });
  expect(hashOf({}, 1)).toBe(hashOf({ seed: 1 }, 1));
  expect(hashOf({}, 2)).toBe(hashOf({ seed: 2 }, 2));
  expect(hashOf({}, 2)).not.toBe(hashOf({ seed: 1 }, 2));
});

it('goes on without a shard that is gone, and says so', async () => {
  const gone: string[] = [];
  const run = await openRun('gone', { shardsGone: (ids) => gone.push(...ids) });
  const lost: ViewUtterance = {
    ...(view.utterances[0] as ViewUtterance),
    utteranceId: 'c/lost',
    shardId: 'f'.repeat(64),
    shardObjectKey: 'shards/lost.arrow',
  };
  expect(await run.runRound(viewOf('hash', [...view.utterances, lost]))).toBe(true);
  expect(gone).toEqual(['f'.repeat(64)]);
});

it('reads from the store what does not fit into the cache, and learns the same', async () => {
  const weightsOf = async (runId: string, limitBytes: number): Promise<{ weights: Uint8Array; cached: string[] }> => {
    let last: Checkpoint | undefined;
    const run = await openRun(runId, { saved: (checkpoint) => (last = checkpoint) }, limitBytes);
    expect(await run.runRound(view)).toBe(true);
    return { weights: await readWeights(store, last as Checkpoint), cached: readdirSync(folder) };
  };
  const cached = await weightsOf('cached', 1e6);
  expect(cached.cached).toEqual([`${view.utterances[0]?.shardId}.arrow`]);
  const remote = await weightsOf('remote', 1000);
  expect(remote.cached).toEqual([]);
  expect(Buffer.compare(remote.weights, cached.weights)).toBe(0);
});

it('a file in the cache that was damaged is fetched again', async () => {
  const tiles = new TileStore(store, { folder, limitBytes: 1e6, connection });
  opened.push(tiles);
  const path = join(folder, `${view.utterances[0]?.shardId}.arrow`);
  writeFileSync(path, 'half a sh');
  expect(await tiles.prepare(view.utterances)).toEqual(new Set());
  expect(sha256Hex(readFileSync(path))).toBe(view.utterances[0]?.shardId);
  const [first] = view.utterances as [ViewUtterance];
  expect([...(await tiles.read([{ utterance: first, row: 1 }])).subarray(0, 4)]).toEqual([0, 4, 8, 12]);
});

it('has nothing to do where nobody may be learnt from', async () => {
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
