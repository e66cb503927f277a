/** A run on files, with a model of a few weights: memory, late erasures, failures. */
import * as tf from '@tensorflow/tfjs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { featureSettings } from '#audio/feature-settings.js';
import { writeShard, type ShardRow } from '#audio/shard/shard-file.js';
import { emotionCategories, genders } from '#contracts/labels.js';
import { runLeaseKey } from '#contracts/object-keys.js';
import { evaluateRows } from '#evaluation/evaluate-predictions.js';
import { judgingRows } from '#evaluation/judging-rows.js';
import { readPredictions } from '#evaluation/predictions-file.js';
import { chooseBackend } from '#tensor/backend.js';
import { type NamedTensor, readSafetensors } from '#model-files/safetensors.js';
import { FolderStore } from '#storage/folder-store.js';
import { sha256Hex } from '#storage/object-store.js';
import { manifestKey, newestCheckpoints, readWeights, type Checkpoint } from './checkpoint-store.js';
import { Lease } from '#storage/lease.js';
import { RoundErasures } from './round-erasures.js';
import { noEvents, plainRounds, type RunEvents, type RunSettings } from './run-settings.js';
import { TileStore } from './tile-store.js';
import { viewOf, type TrainingView, type ViewUtterance } from '#index/training-index.js';
import { TrainingRun } from './training-run.js';

const [rows, width] = [16, 32];
const pools = [
  [2, 4],
  [4, 4],
];
const settings: RunSettings = {
  runId: 'run',
  model: { filters: [2, 2], pools, dense: 4, headFilters: 2 },
  batch: { labelled: 2, unlabelled: 0 },
  roundSteps: 3,
  ...plainRounds,
  reportEvery: 1,
  checkpointEvery: 2,
  statisticsTiles: 4,
  seed: 5,
  codeVersion: 'test',
};
/** The first step succeeds, and the second has no finite loss. */
const wild = { ...settings.model, update: 'joint', learningRate: 1e30 };

let folder: string;
let store: FolderStore;
let tiles: TileStore;
let view: TrainingView;
let newShard: Pick<ViewUtterance, 'shardId' | 'shardObjectKey'>;
let runs: TrainingRun[];

beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => undefined })));
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-run-'));
  store = new FolderStore(folder);
  tiles = new TileStore(store, null);
  view = await makeView();
  runs = [];
});
afterEach(async () => {
  for (const run of runs) run.dispose();
  await tiles.close();
  rmSync(folder, { recursive: true });
});

/** Eight utterances of one tile each, by four speakers, one of them dev. */
async function makeView(): Promise<TrainingView> {
  const made = Array.from({ length: 8 }, (_, i) => ({
    tile: Uint8Array.from({ length: rows * width }, (_pixel, at) => (at * (i + 3)) % 251),
    utteranceId: `c/${i}`,
    version: 'v',
    tileIndex: 0,
    corpus: 'c',
    speaker: `c/s${i % 4}`,
    gender: genders[i % 2]!,
    category: emotionCategories[i % 4]!,
    activation: null,
    valence: null,
  })) satisfies ShardRow[];
  const { shardId, shardObjectKey } = await putShard('shard.arrow', made);
  // A shard is believed only for the versions that its rows name: the first utterance under its new label has one of its own.
  newShard = await putShard('relabelled.arrow', [{ ...made[0]!, version: 'w', category: 'angry' }]);
  const utterances = made.map(({ utteranceId, speaker: speakerId, gender, category }, firstRow): ViewUtterance => {
    const place = { shardId, shardObjectKey, firstRow, tileCount: 1 };
    const split = speakerId === 'c/s3' ? 'dev' : 'train';
    const labels = { speakerId, gender, category };
    return { utteranceId, version: 'v', objectKey: utteranceId, stream: 'labelled', labels, split, withheld: false, ...place };
  });
  return viewOf('hash', utterances);
}

async function putShard(name: string, shardRows: ShardRow[]): Promise<Pick<ViewUtterance, 'shardId' | 'shardObjectKey'>> {
  const bytes = writeShard(shardRows, featureSettings({ rows, width }));
  await store.put(name, bytes);
  return { shardId: sha256Hex(bytes), shardObjectKey: join(folder, name) };
}

/** The same view with a new label for the first utterance. */
const relabelled = (): TrainingView => {
  const [first, ...rest] = view.utterances as [ViewUtterance, ...ViewUtterance[]];
  return viewOf('hash', [{ ...first, version: 'w', labels: { ...first.labels, category: 'angry' }, ...newShard, firstRow: 0 }, ...rest]);
};

async function openRun(changes: Partial<RunSettings> = {}, events: Partial<RunEvents> = {}): Promise<TrainingRun> {
  const lease = await Lease.acquire(store, runLeaseKey('run'), 'test', () => undefined);
  const run = new TrainingRun({ ...settings, ...changes }, store, tiles, lease.epoch, { ...noEvents, ...events });
  runs.push(run);
  await run.restore();
  return run;
}

async function newest(): Promise<Checkpoint | undefined> {
  for await (const checkpoint of newestCheckpoints(store, 'run', () => undefined)) return checkpoint;
  return undefined;
}

describe('memory', () => {
  const held = (): number[] => [tf.memory().numTensors, tf.memory().numBytes];

  it('does not grow with rounds, and is free again when the run is disposed', async () => {
    const before = held();
    const run = await openRun();
    await run.runRound(view);
    const afterOne = held();
    await run.runRound(relabelled());
    await run.runRound(view);
    expect(held()).toEqual(afterOne);
    run.dispose();
    expect(held()).toEqual(before);
  });

  it('is freed when a run restores its best check, and when it is restored twice', async () => {
    const before = held();
    const run = await openRun({ patience: 1, fewestDevSpeakers: 1, checkpointEvery: 1, roundSteps: 6 });
    await run.runRound(view);
    await run.restore();
    run.dispose();
    expect(held()).toEqual(before);
  });
});

describe('a run whose input is standardised by row', () => {
  const standardised = { model: { ...settings.model, input: { standardise: 'rows' } } };
  const scaleOf = async (checkpoint: Checkpoint | undefined): Promise<NamedTensor[]> =>
    readSafetensors(await readWeights(store, checkpoint!)).filter(({ name }) => name.startsWith('input.'));

  it('measures the scale on tiles of training speakers alone, before its first step', async () => {
    await (await openRun({ ...standardised, batch: { labelled: 2, unlabelled: 2 }, statisticsTiles: 100 })).runRound(view);
    const mean = (await scaleOf(await newest())).find(({ name }) => name === 'input.mean')!;
    const trained = view.utterances.filter(({ split }) => split === 'train');
    const pixels = await tiles.read(trained.map((utterance) => ({ utterance, row: utterance.firstRow })));
    const expected = Array.from({ length: rows }, (_, row) => {
      const own = pixels.filter((_pixel, at) => Math.floor(at / width) % rows === row);
      return own.reduce((sum, pixel) => sum + pixel / 255, 0) / own.length;
    });
    for (const [row, value] of expected.entries()) expect(mean.values[row]).toBeCloseTo(value, 5);
  });

  it('keeps the scale in later rounds and after a restart', async () => {
    await (await openRun(standardised)).runRound(view);
    const first = await scaleOf(await newest());
    await (await openRun(standardised)).runRound(relabelled());
    const second = await newest();
    expect(second?.round).toBe(2);
    expect(await scaleOf(second)).toEqual(first);
  });
});

describe('a run that names its own classes', () => {
  const names = ['frustrated', 'calm'];
  const calls = (): TrainingView =>
    viewOf(
      'hash',
      view.utterances.map((utterance, i) => ({ ...utterance, labels: { ...utterance.labels, category: i % 4 === 0 ? 'cross' : 'calm' } })),
    );

  it('learns, saves and scores them, and continues from its checkpoint', async () => {
    const own = { model: { ...settings.model, tasks: { emotion: names }, emotionWords: { cross: 'frustrated' } } };
    await (await openRun(own)).runRound(calls());
    const again = await openRun(own);
    expect(await again.runRound({ ...calls(), digest: 'b'.repeat(64) })).toBe(true);
    const { predictions, model, view: learnt, step } = (await newest())!;
    const fact = predictions.find(({ task }) => task === 'emotion')!;
    expect([step, learnt.tiles.labelled]).toEqual([6, 6]);
    expect((model['settings'] as { tasks: object }).tasks).toMatchObject({ emotion: names });
    expect(fact.classes).toEqual(names);
    const [dev] = evaluateRows(fact, readPredictions((await store.get(fact.objectKey)).bytes));
    expect(Object.keys(dev?.recall ?? {})).toEqual(names);
  });

  it('leaves utterances of other classes unlabelled', async () => {
    await (await openRun({ model: { ...settings.model, tasks: { emotion: ['calm', 'bored'] } } })).runRound(calls());
    expect((await newest())?.view.tiles).toEqual({ labelled: 4, unlabelled: 2 });
  });
});

describe('the dev speakers of a run', () => {
  /** One training speaker, and seven dev speakers with one utterance each. */
  const sevenDev = (): TrainingView =>
    viewOf(
      'hash',
      view.utterances.map((utterance, i) => ({
        ...utterance,
        labels: { ...utterance.labels, speakerId: `c/d${i}` },
        split: i === 0 ? ('train' as const) : ('dev' as const),
        withheld: false,
      })),
    );
  const patient = { patience: 2, checkpointEvery: 1, roundSteps: 4 };

  it('pick the best checkpoint or judge it, never both', async () => {
    const checkedOn: number[] = [];
    const run = await openRun(patient, { roundStarted: (facts) => checkedOn.push(facts.checkedOn) });
    await run.runRound(sevenDev());
    const { pickedBy = [], predictions } = (await newest())!;
    const fact = predictions.find(({ task }) => task === 'emotion')!;
    expect(checkedOn).toEqual([2]);
    expect(pickedBy).toHaveLength(2);
    expect(fact.pickedBy).toEqual(pickedBy);
    const rows = readPredictions((await store.get(fact.objectKey)).bytes);
    expect(new Set(rows.map(({ speakerId }) => speakerId)).size).toBe(7);
    const [dev] = evaluateRows(fact, rows);
    expect(dev).toMatchObject({ split: 'dev', speakers: 5, n: 5 });
    expect(judgingRows(rows, fact.pickedBy).filter(({ speakerId }) => pickedBy.includes(speakerId))).toEqual([]);
  });

  it('pick again in later rounds and after a restart, and never judge once they picked', async () => {
    await (await openRun(patient)).runRound(sevenDev());
    const before = (await newest())?.pickedBy;
    const smaller = sevenDev();
    smaller.utterances.pop();
    await (await openRun({ ...patient, patience: 0 })).runRound({ ...smaller, digest: 'a'.repeat(64) });
    expect(await newest()).toMatchObject({ round: 2, pickedBy: before });
  });
});

describe('an erasure', () => {
  it('that comes after its round does not affect the next one', async () => {
    const erased: number[] = [];
    const run = await openRun({}, { erased: ({ utterances }) => erased.push(utterances) });
    const first = new RoundErasures();
    await run.runRound(view, { erasures: first });
    first.add(['c/0']); // it was relabelled while the round was ending
    await run.runRound(relabelled(), { erasures: new RoundErasures() });
    first.add(['c/0']);
    expect(erased).toEqual([]);
    expect(await newest()).toMatchObject({ round: 2, erasedInRound: 0, seen: { versions: 7 } });
  });

  it('that comes before its round begins keeps the utterance out of all batches', async () => {
    const erasures = new RoundErasures();
    erasures.add(['c/0', 'c/unknown']);
    await (await openRun()).runRound(view, { erasures });
    expect((await newest())?.erasedInRound).toBe(1);
  });
});

describe('a run that diverges', () => {
  it('goes back to its newest checkpoint and continues at a lower rate', async () => {
    const wentBack: { step: number; rateScale: number }[] = [];
    const given = { model: { ...settings.model, update: 'joint' }, divergedRateFactor: 1e-33, checkpointEvery: 100 };
    await (await openRun(given)).runRound(view);
    const healthy = (await newest())!;
    const spoilt = { ...healthy.model, settings: { ...(healthy.model['settings'] as object), learningRate: 1e30 } };
    await store.put(manifestKey('run', 3), JSON.stringify({ ...healthy, model: spoilt }));
    const run = await openRun(given, { wentBack: (facts) => wentBack.push(facts) });
    await expect(run.runRound(view)).rejects.toMatchObject({ code: 'MODEL_DIVERGED' });
    expect(wentBack).toEqual([{ step: 3, rateScale: 1e-33 }]);
    expect(await run.runRound(view)).toBe(true);
    expect(await newest()).toMatchObject({ round: 2, step: 6, complete: true, parent: { step: 3 } });
  });

  it('starts again without a checkpoint, and reports it', async () => {
    const wentBack: { step: number; rateScale: number }[] = [];
    const given = { model: wild, divergedRateFactor: 1e-36, checkpointEvery: 100 };
    const run = await openRun(given, { wentBack: (facts) => wentBack.push(facts) });
    await expect(run.runRound(view)).rejects.toMatchObject({ code: 'MODEL_DIVERGED' });
    expect(wentBack).toEqual([{ step: 0, rateScale: 1e-36 }]);
    expect(await run.runRound(view)).toBe(true);
    expect(await newest()).toMatchObject({ round: 1, step: 3, complete: true, rateScale: 1e-36 });
  });

  it('keeps the lower rate after a restart', async () => {
    const wentBack: number[] = [];
    const given = { model: wild, divergedRateFactor: 1e-36, checkpointEvery: 100 };
    const run = await openRun(given);
    await expect(run.runRound(view)).rejects.toMatchObject({ code: 'MODEL_DIVERGED' });
    await run.runRound(view);
    const again = await openRun(given, { wentBack: ({ step }) => wentBack.push(step) });
    expect(await again.runRound(relabelled())).toBe(true);
    expect([wentBack, (await newest())?.step]).toEqual([[], 6]);
  });

  it('goes back one checkpoint further if the newest diverges again', async () => {
    const wentBack: number[] = [];
    const given = { model: wild, divergedRateFactor: 1e-36, checkpointEvery: 1 };
    const run = await openRun(given, { wentBack: ({ step }) => wentBack.push(step) });
    await expect(run.runRound(view)).rejects.toMatchObject({ code: 'MODEL_DIVERGED' });
    await expect(run.runRound(view)).rejects.toMatchObject({ code: 'MODEL_DIVERGED' });
    // The weights of step 1 are finite, but too large for a finite loss.
    expect(wentBack).toEqual([1, 0]);
    expect(await run.runRound(view)).toBe(true);
  });

  it('keeps its rate if the settings do not lower it', async () => {
    const wentBack: number[] = [];
    const run = await openRun({ model: wild, checkpointEvery: 100 }, { wentBack: ({ rateScale }) => wentBack.push(rateScale) });
    await expect(run.runRound(view)).rejects.toMatchObject({ code: 'MODEL_DIVERGED' });
    expect([wentBack, await newest()]).toEqual([[1], undefined]);
  });
});
