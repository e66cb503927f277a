/** The two systems that the paper quotes of others, each step of them: which weights move, and that they learn. */
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { chooseBackend } from '#tensor/backend.js';
import { reestimateBatchNorm } from '#paper/batch-norm-statistics.js';
import { loadModel, saveModel } from '#model-files/checkpoint.js';
import { exportOnnx } from '#model-files/export-onnx.js';
import { exportTfjsLayers } from '#model-files/export-tfjs-layers.js';
import { growSpeakers } from '#paper/grow-speakers.js';
import { createModel } from './create-model.js';
import { type AnyModel, modelParameters, modelStatistics } from '#paper/model.js';
import { encode, predict } from '#paper/predict.js';
import { isLearningSource, reestimateSourceColumn } from './progressive-phases.js';
import type { ModelSettingsInput } from '#paper/settings.js';
import { tinyBatch, tinySettings, withoutLabels } from '#paper/tiny-model.js';
import { trainStep, type TrainingBatch } from '#paper/train-step.js';

const cnnLstm: ModelSettingsInput = {
  system: 'cnn-lstm',
  auxiliary: { gender: false, speaker: false },
  cnnLstm: {
    filters: [2, 3, 3, 4],
    pools: [
      [2, 2],
      [2, 1],
      [2, 2],
      [1, 1],
    ],
    units: 5,
  },
};
const progressive = (source: 'gender' | 'speaker', sourceSteps = 3): ModelSettingsInput => ({
  system: 'progressive',
  auxiliary: { gender: source === 'gender', speaker: source === 'speaker' },
  progressive: { sourceSteps },
});
const systems: [string, ModelSettingsInput][] = [
  ['cnn-lstm', cnnLstm],
  ['progressive from gender', progressive('gender')],
  ['progressive from speaker', progressive('speaker')],
];

let model: AnyModel;
beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => {} })));
afterEach(() => model.dispose());
const start = (settings: ModelSettingsInput): AnyModel => (model = createModel(tinySettings(settings)));

const watched = () => [...modelParameters(model), ...modelStatistics(model)];
const valuesOf = () => new Map(watched().map(({ name, value }) => [name, value.dataSync().slice()]));
/** Weights and statistics, by name, that are no longer those of before. */
function moved(before: ReturnType<typeof valuesOf>): string[] {
  return watched().flatMap(({ name, value }) => (value.dataSync().some((each, i) => each !== before.get(name)![i]) ? [name] : []));
}
const namesOf = (isOf: (name: string) => boolean): string[] =>
  watched()
    .map(({ name }) => name)
    .filter(isOf);
async function steps(count: number, batch: TrainingBatch) {
  let losses = await trainStep(model, batch);
  for (let step = 1; step < count; step++) losses = await trainStep(model, batch);
  return losses;
}
const rightOf = ({ emotion }: { emotion: Float32Array }, batch: TrainingBatch): number =>
  [...batch.emotion].filter((label, tile) => {
    const own = emotion.subarray(4 * tile, 4 * tile + 4);
    return own.indexOf(Math.max(...own)) === label;
  }).length;

describe.each(systems)('%s', (_, settings) => {
  test('has finite losses, a flat tensor count after one step of each phase, and leaves nothing behind', async () => {
    const { numTensors: before } = tf.memory();
    start(settings);
    const batch = tinyBatch(model.settings, 6);
    await steps(4, batch);
    const { numTensors } = tf.memory();
    const losses = await steps(3, batch);
    await trainStep(model, withoutLabels(batch));
    await predict(model, batch.tiles, batch.count);
    await reestimateBatchNorm(model, [batch]);
    expect(Number.isFinite(losses.emotion)).toBe(true);
    expect(losses).toMatchObject({ reconstruction: null, discriminator: null, generator: null, total: losses.emotion });
    expect(tf.memory().numTensors).toBe(numTensors);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
    start(settings);
  });

  test('saved at any step and loaded, trains on to the same digit', async () => {
    start(settings);
    const batches = Array.from({ length: 7 }, (_, seed) => tinyBatch(model.settings, 6, seed));
    for (const stop of [2, 3, 5]) {
      for (const batch of batches.slice(0, stop)) await trainStep(model, batch);
      const { manifest, bytes } = await saveModel(model);
      const resumed = loadModel(JSON.parse(JSON.stringify(manifest)), bytes);
      for (const batch of batches.slice(stop)) expect(await trainStep(resumed, batch)).toEqual(await trainStep(model, batch));
      const [ours, theirs] = [await saveModel(model), await saveModel(resumed)];
      expect(theirs.bytes).toEqual(ours.bytes);
      expect(theirs.manifest).toEqual(ours.manifest);
      resumed.dispose();
      model.dispose();
      start(settings);
    }
  });

  test('answers a tile the same whatever else is asked beside it, and twice the same: nothing is warped or dropped', async () => {
    start(settings);
    const batch = tinyBatch(model.settings, 5);
    await steps(5, batch);
    const state = model.random.state;
    const all = await predict(model, batch.tiles, 5);
    expect(await predict(model, batch.tiles, 5)).toEqual(all);
    const size = model.settings.tile[0] * model.settings.tile[1];
    const last = await predict(model, batch.tiles.subarray(4 * size), 1);
    last.emotion.forEach((probability, i) => expect(probability).toBeCloseTo(all.emotion[16 + i]!, 5));
    expect((await encode(model, batch.tiles, 5)).length % 5).toBe(0);
    await reestimateBatchNorm(model, [batch]);
    expect(model.random.state).toEqual(state);
  });

  test('makes nothing of unlabelled tiles once it learns emotion', async () => {
    start(settings);
    await steps(3, tinyBatch(model.settings, 6));
    const { manifest, bytes } = await saveModel(model);
    const twin = loadModel(manifest, bytes);
    const labelled = tinyBatch(model.settings, 4);
    const mixed = tinyBatch(model.settings, 6);
    mixed.tiles.set(labelled.tiles);
    for (const task of ['emotion', 'gender', 'speaker'] as const) mixed[task].set(labelled[task]);
    mixed.emotion.fill(-1, 4);
    expect(await trainStep(model, mixed)).toEqual(await trainStep(twin, labelled));
    expect((await saveModel(model)).bytes).toEqual((await saveModel(twin)).bytes);
    twin.dispose();
  });

  test('has no export, and says so', async () => {
    start(settings);
    await expect(exportOnnx(model, {})).rejects.toThrow(/baseline of experiments and has no export/);
    await expect(exportTfjsLayers(model, {})).rejects.toThrow(/baseline of experiments and has no export/);
  });
});

describe('cnn-lstm', () => {
  test('moves every weight and every running statistic in a step', async () => {
    start({ ...cnnLstm, dropout: 0 });
    const before = valuesOf();
    await trainStep(model, tinyBatch(model.settings, 6));
    expect(moved(before)).toEqual(namesOf(() => true));
  });

  test('reads time: frames in another order are another answer, in both directions', async () => {
    start({ ...cnnLstm, cnnLstm: { ...cnnLstm.cnnLstm, warp: [1, 1] } });
    const batch = tinyBatch(model.settings, 6);
    await steps(3, batch);
    const [rows, frames] = model.settings.tile;
    const reversed = batch.tiles.map((_, at) => batch.tiles[at - (at % frames) + (frames - 1 - (at % frames))]!);
    expect(reversed.length).toBe(6 * rows * frames);
    expect((await predict(model, reversed, 6)).emotion).not.toEqual((await predict(model, batch.tiles, 6)).emotion);
  });

  test('warps what it learns: the loss depends on the generator alone, and not where the bounds are 1', async () => {
    const lossFrom = async (warp: [number, number], draws: number): Promise<number> => {
      start({ ...cnnLstm, dropout: 0, cnnLstm: { ...cnnLstm.cnnLstm, warp } });
      for (let draw = 0; draw < draws; draw++) model.random.uniform();
      const { emotion } = await trainStep(model, tinyBatch(model.settings, 6));
      model.dispose();
      return emotion!;
    };
    expect(await lossFrom([0.5, 2], 0)).toBe(await lossFrom([0.5, 2], 0));
    expect(await lossFrom([0.5, 2], 0)).not.toBe(await lossFrom([0.5, 2], 1));
    expect(await lossFrom([1, 1], 0)).toBe(await lossFrom([1, 1], 1));
    start(cnnLstm);
  });

  test('gives the recurrent part a rate of its own', () => {
    start({ ...cnnLstm, cnnLstm: { ...cnnLstm.cnnLstm, recurrentRate: 0.1 } });
    expect(model.optimisers.classificationHeads!.learningRate).toBeCloseTo(1e-4);
    expect(model.optimisers.classificationEncoder!.learningRate).toBeCloseTo(1e-3);
  });

  test('learns: it overfits 12 tiles though each is warped anew', async () => {
    start({ ...cnnLstm, kernel: 3, dropout: 0, learningRate: 1e-2 });
    const batch = tinyBatch(model.settings, 12);
    await steps(60, batch);
    await reestimateBatchNorm(model, [batch]);
    expect(rightOf(await predict(model, batch.tiles, 12), batch)).toBe(12);
  });
});

describe('progressive', () => {
  const ofFirst = (name: string): boolean => name.startsWith('source.') || name.startsWith('gender.');

  test('moves in its first phase the first column, all of it, and nothing else', async () => {
    start({ ...progressive('gender'), dropout: 0 });
    const before = valuesOf();
    const losses = await trainStep(model, tinyBatch(model.settings, 6));
    expect(losses).toMatchObject({ emotion: null, speaker: null, total: losses.gender });
    expect(moved(before)).toEqual(namesOf(ofFirst));
  });

  test('keeps in its second phase the first column to the bit, and moves the second and every adapter', async () => {
    start({ ...progressive('gender'), dropout: 0 });
    const batch = tinyBatch(model.settings, 6);
    await steps(3, batch);
    expect(isLearningSource(model)).toBe(false);
    await reestimateSourceColumn(model, [batch]);
    const before = valuesOf();
    const losses = await trainStep(model, batch);
    expect(losses).toMatchObject({ gender: null, speaker: null, total: losses.emotion });
    expect(moved(before)).toEqual(namesOf((name) => !ofFirst(name)));
    expect(moved(before).filter((name) => name.startsWith('lateral.'))).toHaveLength(4 * 5);
    await steps(5, batch);
    await reestimateBatchNorm(model, [batch]);
    expect(moved(before).filter(ofFirst)).toEqual([]);
  });

  test('measures at the end of its first phase the statistics of the first column alone', async () => {
    start(progressive('gender'));
    const batch = tinyBatch(model.settings, 6);
    await steps(3, batch);
    const before = valuesOf();
    await reestimateSourceColumn(model, [batch]);
    expect(moved(before)).toEqual(namesOf((name) => name.startsWith('source.') && name.includes('running')));
  });

  test('stays in its first phase until it had so many tiles with a label to learn from', async () => {
    start(progressive('gender', 2));
    const batch = tinyBatch(model.settings, 4);
    await trainStep(model, batch);
    await trainStep(model, { ...batch, gender: new Int32Array(4).fill(-1) });
    expect(isLearningSource(model)).toBe(true);
    await trainStep(model, batch);
    expect(isLearningSource(model)).toBe(false);
  });

  test('answers the source task from the first column, which emotion does not change', async () => {
    start(progressive('speaker'));
    const batch = tinyBatch(model.settings, 6);
    await steps(3, batch);
    const { speaker } = await predict(model, batch.tiles, 6);
    await steps(5, batch);
    expect((await predict(model, batch.tiles, 6)).speaker).toEqual(speaker);
  });

  test('hears the first column: emotion is answered otherwise where it is silenced', async () => {
    start(progressive('gender'));
    const batch = tinyBatch(model.settings, 6);
    await steps(8, batch);
    const { emotion } = await predict(model, batch.tiles, 6);
    for (const { name, value } of modelParameters(model)) if (name.endsWith('scale')) value.assign(tf.zeros([1]));
    expect((await predict(model, batch.tiles, 6)).emotion).not.toEqual(emotion);
  });

  test('has a speaker head that grows before its source task is learnt', async () => {
    start({ ...progressive('speaker'), tasks: { speakers: 0 } });
    growSpeakers(model, 300);
    await trainStep(model, tinyBatch(tinySettings({ tasks: { speakers: 300 } }), 4));
    expect((await predict(model, tinyBatch(model.settings, 2).tiles, 2)).speaker).toHaveLength(600);
  });

  test('learns: gender first, then emotion, of 12 tiles', async () => {
    start({ ...progressive('gender', 60), kernel: 3, dropout: 0, learningRate: 1e-2, filters: [3, 4, 6], dense: 16, headFilters: 6 });
    const batch = tinyBatch(model.settings, 12);
    expect((await steps(60, batch)).gender).toBeLessThan(0.05);
    await reestimateSourceColumn(model, [batch]);
    await steps(60, batch);
    await reestimateBatchNorm(model, [batch]);
    const answers = await predict(model, batch.tiles, 12);
    expect(rightOf(answers, batch)).toBe(12);
    expect([...batch.gender].filter((label, tile) => answers.gender![2 * tile + label]! > 0.5)).toHaveLength(12);
  });
});
