import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { emotionTargets, targetClasses } from '#contracts/labels.js';
import { chooseBackend } from '#tensor/backend.js';
import { reestimateBatchNorm } from './batch-norm-statistics.js';
import { jointUpdate } from './joint-update.js';
import { headParameters, type Model, modelParameters } from './model.js';
import { createPaperModel } from './paper-model.js';
import { predict, reconstruct } from './predict.js';
import type { ModelSettingsInput } from './settings.js';
import { pixelsOf } from './tiles.js';
import { tinyBatch, tinySettings, withoutLabels } from './tiny-model.js';
import { trainStep } from './train-step.js';

let model: Model;
beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => {} })));
afterEach(() => model.dispose());

const start = (settings: ModelSettingsInput = {}) => (model = createPaperModel(tinySettings(settings)));

const auxiliaryTasks = {
  'single-task': { gender: false, speaker: false },
  'with gender': { gender: true, speaker: false },
  'with speaker': { gender: false, speaker: true },
  'with both': { gender: true, speaker: true },
};
const everySystem = (['aae', 'ae', 'cnn'] as const).flatMap((system) =>
  Object.entries(auxiliaryTasks).flatMap(([name, auxiliary]) => emotionTargets.map((target) => ({ system, name, auxiliary, target }))),
);

test.each(everySystem)('$system $name for $target trains just the heads it has', async ({ system, auxiliary, target }) => {
  start({ system, auxiliary, target });
  const batch = tinyBatch(model.settings, 4);
  const losses = await trainStep(model, batch);
  // Before its first update a head knows nothing: its loss is near that of a guess.
  expect(losses.emotion).toBeGreaterThan(0.3 * Math.log(targetClasses[target].length));
  expect(losses.emotion).toBeLessThan(3 * Math.log(targetClasses[target].length));
  expect([losses.gender === null, losses.speaker === null]).toEqual([!auxiliary.gender, !auxiliary.speaker]);
  expect((await predict(model, tinyBatch(model.settings, 4).tiles, 4)).emotion).toHaveLength(4 * targetClasses[target].length);
});

describe.each([
  ['aae', 'phases'],
  ['aae', 'joint'],
  ['ae', 'phases'],
  ['ae', 'joint'],
  ['cnn', 'phases'],
  ['cnn', 'joint'],
] as const)('%s by %s', async (system, update) => {
  test('has finite losses for the phases it has, and a flat tensor count after one step', async () => {
    start({ system, update });
    const batch = tinyBatch(model.settings, 4);
    const losses = await trainStep(model, batch);
    expect(losses.reconstruction === null).toBe(system === 'cnn');
    for (const name of ['discriminator', 'generator', 'discriminatorAccuracy'] as const)
      expect(losses[name] === null).toBe(system !== 'aae');
    expect(Object.values(losses).every((loss) => loss === null || Number.isFinite(loss))).toBe(true);
    const { numTensors } = tf.memory();
    for (let step = 0; step < 3; step++) await trainStep(model, batch);
    await trainStep(model, withoutLabels(batch));
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test('leaves nothing behind when disposed', async () => {
    const { numTensors } = tf.memory();
    start({ system, update });
    await trainStep(model, tinyBatch(model.settings, 2));
    model.dispose();
    expect(tf.memory().numTensors).toBe(numTensors);
    start();
  });
});

describe('labels', async () => {
  test('unlabelled tiles add nothing to a head: its loss is that of the labelled ones, whatever the rest count', async () => {
    const batch = tinyBatch(start({ dropout: 0 }).settings, 4);
    const half = { ...batch, emotion: Int32Array.from(batch.emotion, (label, tile) => (tile < 2 ? label : -1)) };
    const others = { ...batch, emotion: Int32Array.from(batch.emotion, (label, tile) => (tile < 2 ? -1 : label)) };
    const first = (await trainStep(model, half)).emotion!;
    model.dispose();
    start({ dropout: 0 });
    const second = (await trainStep(model, others)).emotion!;
    model.dispose();
    start({ dropout: 0 });
    expect((await trainStep(model, batch)).emotion).toBeCloseTo((first + second) / 2, 4);
  });

  test('a batch without labels trains the autoencoder and leaves the heads as they are', async () => {
    start();
    const before = modelParameters(model).map(({ value }) => value.dataSync().slice());
    const losses = await trainStep(model, withoutLabels(tinyBatch(model.settings, 4)));
    expect(losses).toMatchObject({ emotion: null, gender: null, speaker: null });
    expect(losses.reconstruction).toBeGreaterThan(0);
    const heads = new Set(headParameters(model.heads));
    modelParameters(model).forEach((parameter, i) => {
      const moved = parameter.value.dataSync().some((weight, j) => weight !== before[i]![j]);
      expect(moved, parameter.name).toBe(!heads.has(parameter));
    });
  });

  test('a head that rested does not drift on old momentum', async () => {
    start();
    const batch = tinyBatch(model.settings, 4);
    await trainStep(model, batch);
    const before = headParameters(model.heads).map(({ value }) => value.dataSync().slice());
    await trainStep(model, withoutLabels(batch));
    headParameters(model.heads).forEach(({ name, value }, i) => expect(value.dataSync(), name).toEqual(before[i]));
  });

  test('a label beyond its head is refused before anything moves', async () => {
    start();
    const batch = tinyBatch(model.settings, 4);
    const state = model.random.state;
    await expect(trainStep(model, { ...batch, speaker: batch.speaker.fill(5) })).rejects.toThrow(/speaker label 5 of 5 classes: grow/);
    expect(model.random.state).toEqual(state);
  });

  test('beta = 1 silences gender and speaker', async () => {
    start({ beta: 1 });
    expect(await trainStep(model, tinyBatch(model.settings, 4))).toMatchObject({ gender: null, speaker: null });
  });

  test('perLogK divides the speaker loss by ln(speakers)', async () => {
    const raw = (await trainStep(start({ dropout: 0 }), tinyBatch(model.settings, 4))).speaker!;
    model.dispose();
    start({ dropout: 0, speakerLoss: 'perLogK', update: 'phases' });
    expect((await trainStep(model, tinyBatch(model.settings, 4))).speaker).toBeCloseTo(raw / Math.log(5), 5);
  });
});

describe('the total', async () => {
  test('multi-task: alpha * reconstruction + generator + eq. 3', async () => {
    start({ alpha: 0.3, beta: 0.7 });
    const { reconstruction, generator, emotion, gender, speaker, total } = await trainStep(model, tinyBatch(model.settings, 4));
    expect(total).toBeCloseTo(0.3 * reconstruction! + generator! + 0.7 * emotion! + 0.3 * (gender! + speaker!), 6);
  });

  test('single-task: eq. 1', async () => {
    start({ system: 'ae', alpha: 0.3, auxiliary: { gender: false, speaker: false } });
    const { reconstruction, emotion, gender, total } = await trainStep(model, tinyBatch(model.settings, 4));
    expect(gender).toBeNull();
    expect(total).toBeCloseTo(0.3 * reconstruction! + 0.7 * emotion!, 6);
  });

  test('single-task with phase 2: eq. 1 and the generator', async () => {
    start({ alpha: 0.3, auxiliary: { gender: false, speaker: false } });
    const { reconstruction, generator, emotion, total } = await trainStep(model, tinyBatch(model.settings, 4));
    expect(total).toBeCloseTo(0.3 * reconstruction! + generator! + 0.7 * emotion!, 6);
  });

  test('cnn: eq. 3, or emotion alone, in full: there is nothing unsupervised to share with', async () => {
    start({ system: 'cnn', alpha: 0.3, beta: 0.7 });
    const { emotion, gender, speaker, total } = await trainStep(model, tinyBatch(model.settings, 4));
    expect(total).toBeCloseTo(0.7 * emotion! + 0.3 * (gender! + speaker!), 6);
    model.dispose();
    start({ system: 'cnn', alpha: 0.3, auxiliary: { gender: false, speaker: false } });
    const single = await trainStep(model, tinyBatch(model.settings, 4));
    expect(single.total).toBe(single.emotion);
  });

  test('joint: what the gradient is taken of is what is reported', async () => {
    start({ update: 'joint' });
    const batch = tinyBatch(model.settings, 4);
    const taken = tf.tidy(() => jointUpdate(model, pixelsOf(batch.tiles, 4, model.settings.tile), batch).losses.total.dataSync()[0]!);
    model.dispose();
    start({ update: 'joint' });
    const { reconstruction, generator, emotion, gender, speaker, total } = await trainStep(model, batch);
    expect(total).toBeCloseTo(0.4 * reconstruction! + 0.1 * generator! + 0.5 * (emotion! + gender! + speaker!), 6);
    expect(taken).toBeCloseTo(total, 5);
  });
});

test.each(['phases', 'joint'] as const)('by %s it overfits 16 tiles', async (update) => {
  start({ update, dropout: 0, learningRate: 1e-2, filters: [3, 4, 6], dense: 16, headFilters: 6 });
  const batch = tinyBatch(model.settings, 16);
  const first = await trainStep(model, batch);
  let last = first;
  for (let step = 0; step < 65; step++) last = await trainStep(model, batch);
  expect(last.emotion).toBeLessThan(0.02);
  expect(last.gender).toBeLessThan(0.02);
  expect(last.reconstruction).toBeLessThan(first.reconstruction! / 4);
  await reestimateBatchNorm(model, [batch]);
  const { emotion } = await predict(model, batch.tiles, batch.count);
  const right = [...batch.emotion].filter((label, tile) => argMax(emotion.subarray(4 * tile, 4 * tile + 4)) === label);
  expect(right).toHaveLength(16);
});

test('it reconstructs better than the mean of what it has seen would, also tiles that it has not seen', async () => {
  start({ system: 'ae', learningRate: 1e-2, filters: [3, 4, 6] });
  const { settings } = model;
  const batches = Array.from({ length: 4 }, (_, seed) => tinyBatch(settings, 12, seed));
  for (let step = 0; step < 80; step++) await trainStep(model, withoutLabels(batches[step % 4]!));
  await reestimateBatchNorm(model, batches);
  const seen = batches.flatMap(({ tiles }) => [...tiles].map((pixel) => pixel / 255));
  const size = settings.tile[0] * settings.tile[1];
  const meanTile = Float32Array.from({ length: size }, (_, at) => {
    let sum = 0;
    for (let tile = 0; tile < 48; tile++) sum += seen[tile * size + at]!;
    return sum / 48;
  });
  for (const [which, { tiles, count }] of Object.entries({ seen: batches[0]!, unseen: tinyBatch(settings, 24, 99) })) {
    const errorOf = (predicted: (at: number) => number) =>
      tiles.reduce((sum, pixel, at) => sum + (pixel / 255 - predicted(at)) ** 2, 0) / tiles.length;
    const reconstructed = await reconstruct(model, tiles, count);
    const [ours, mean] = [errorOf((at) => reconstructed[at]!), errorOf((at) => meanTile[at % size]!)];
    console.log(`${which} tiles: MSE ${ours.toFixed(4)}, of the mean tile ${mean.toFixed(4)}`);
    expect(ours, which).toBeLessThan(0.7 * mean);
  }
});

function argMax(values: Float32Array): number {
  return values.indexOf(Math.max(...values));
}
