import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { Adam } from './adam.js';
import { chooseBackend } from '#tensor/backend.js';
import { binaryCrossEntropy, discriminatorAccuracy, maskedCrossEntropy, objectiveWeights } from './losses.js';
import { createPaperModel } from './paper-model.js';
import { maskSpeakers } from './networks.js';
import { SeededRandom } from '#tensor/random.js';
import type { ModelSettingsInput } from './settings.js';
import { tinySettings } from './tiny-model.js';

beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => {} })));

const number = (value: () => tf.Tensor) => tf.tidy(() => value().dataSync()[0]!);

test('masked cross-entropy is the mean over labelled tiles, and 0 without any', () => {
  const logits = tf.tensor2d([
    [0, Math.log(3)],
    [50, -50],
    [0, 0],
  ]);
  expect(number(() => maskedCrossEntropy(logits, { labels: Int32Array.from([1, -1, 0]) }))).toBeCloseTo(
    (Math.log(4 / 3) + Math.log(2)) / 2,
    6,
  );
  expect(number(() => maskedCrossEntropy(logits, { labels: Int32Array.from([-1, -1, -1]) }))).toBeCloseTo(0, 9);
});

test('class weights make a weighted mean', () => {
  const logits = tf.tensor2d([
    [0, Math.log(3)],
    [0, Math.log(3)],
    [0, 0],
  ]);
  const weights = Float32Array.of(3, 0.5);
  const [rare, frequent] = [Math.log(4), Math.log(4 / 3)];
  expect(number(() => maskedCrossEntropy(logits, { labels: Int32Array.of(0, 1, -1), weights }))).toBeCloseTo(
    (3 * rare + 0.5 * frequent) / 3.5,
    6,
  );
  expect(number(() => maskedCrossEntropy(logits, { labels: Int32Array.of(-1, -1, -1), weights }))).toBeCloseTo(0, 9);
});

test('smoothed targets give each known class its share, and a masked unit none', () => {
  const logits = tf.tensor2d([[1, 2, 0.5]]);
  const logSoftmax = tf.logSoftmax(logits).dataSync();
  const expected = -(0.1 * logSoftmax[0]! + 0.8 * logSoftmax[1]! + 0.1 * logSoftmax[2]!);
  const smoothed = (of: tf.Tensor2D) => number(() => maskedCrossEntropy(of, { labels: Int32Array.of(1), smoothing: 0.3, known: 3 }));
  expect(smoothed(logits)).toBeCloseTo(expected, 6);
  expect(smoothed(maskSpeakers(tf.tensor2d([[1, 2, 0.5, 9]]), 3))).toBeCloseTo(expected, 6);
});

test('masked units change no cross-entropy', () => {
  const known = number(() => maskedCrossEntropy(tf.tensor2d([[1, 2]]), { labels: Int32Array.from([1]) }));
  expect(number(() => maskedCrossEntropy(maskSpeakers(tf.tensor2d([[1, 2, 9, 9]]), 2), { labels: Int32Array.from([1]) }))).toBeCloseTo(
    known,
    6,
  );
});

test('binary cross-entropy stays finite at any logit', () => {
  expect(number(() => binaryCrossEntropy(tf.tensor1d([0]), 0.9))).toBeCloseTo(Math.log(2), 6);
  expect(number(() => binaryCrossEntropy(tf.tensor1d([-500]), 1))).toBeCloseTo(500, 3);
  expect(number(() => binaryCrossEntropy(tf.tensor1d([500]), 1))).toBeCloseTo(0, 6);
});

test('accuracy is 0.5 for a discriminator that says the same of everything', () => {
  expect(number(() => discriminatorAccuracy(tf.tensor1d([1, 2]), tf.tensor1d([3, 4])))).toBe(0.5);
  expect(number(() => discriminatorAccuracy(tf.tensor1d([1, 2]), tf.tensor1d([-3, -4])))).toBe(1);
});

test('adam follows Algorithm 1 and skips what has no gradient', () => {
  const parameters = ['a', 'b'].map((name) => ({ name, value: tf.variable(tf.tensor1d([1, -2])) }));
  const adam = new Adam('test', parameters, { learningRate: 0.1, epsilon: 1e-7 });
  const expected = [1, -2];
  const moments = [0, 0].map(() => ({ m: 0, v: 0 }));
  for (let step = 1; step <= 5; step++) {
    const gradient = [0.3 * step, -2 / step];
    tf.tidy(() => adam.apply([tf.tensor1d(gradient), null]));
    moments.forEach((moment, i) => {
      moment.m = 0.9 * moment.m + 0.1 * gradient[i]!;
      moment.v = 0.999 * moment.v + 0.001 * gradient[i]! ** 2;
      expected[i]! -= (0.1 * (moment.m / (1 - 0.9 ** step))) / (Math.sqrt(moment.v / (1 - 0.999 ** step)) + 1e-7);
    });
  }
  parameters[0]!.value.dataSync().forEach((weight, i) => expect(weight).toBeCloseTo(expected[i]!, 5));
  expect([...parameters[1]!.value.dataSync()]).toEqual([1, -2]);
  expect(adam.slots.map(({ step }) => step)).toEqual([5, 0]);
});

test('chance is resumed from its state, differs by seed and has the moments it promises', () => {
  const random = SeededRandom.fromSeed(1);
  random.uniform();
  const resumed = SeededRandom.fromState(random.state);
  const draws = random.normal([20_001]).dataSync<'float32'>();
  expect(resumed.normal([20_001]).dataSync()).toEqual(draws);
  const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length;
  expect(Math.abs(mean)).toBeLessThan(0.03);
  expect(draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / draws.length).toBeCloseTo(1, 1);
  const mask = random.dropoutMask([10_000], 0.25).dataSync<'float32'>();
  expect(mask.reduce((sum, value) => sum + value, 0) / mask.length).toBeCloseTo(1, 1);
  expect(SeededRandom.fromSeed(2).nextUint32()).not.toBe(SeededRandom.fromSeed(1).nextUint32());
});

describe('the objective', () => {
  const both = { gender: true, speaker: true };
  const none = { gender: false, speaker: false };
  const gender = { gender: true, speaker: false };
  const speaker = { gender: false, speaker: true };
  /** Weights of reconstruction, emotion, gender and speaker in eq. (5), for alpha 0.3. */
  const equations: [string, ModelSettingsInput, number[]][] = [
    ['emotion alone by eq. 1', { auxiliary: none }, [0.3, 0.7, 0, 0]],
    ['emotion alone by eq. 1, though it has heads that weigh nothing', { auxiliary: both, beta: 1 }, [0.3, 0.7, 0, 0]],
    ['gender alone by eq. 1', { auxiliary: gender, beta: 0 }, [0.3, 0, 0.7, 0]],
    ['speaker alone by eq. 1', { auxiliary: speaker, beta: 0 }, [0.3, 0, 0, 0.7]],
    ['gender and speaker by eq. 2 and 3', { auxiliary: both, beta: 0 }, [0.3, 0, 1, 1]],
    ['all tasks by eq. 2 and 3', { auxiliary: both, beta: 0.8 }, [0.3, 0.8, 0.2, 0.2]],
  ];

  test.each(equations)('weighs %s', (_name, settings, expected) => {
    const weights = objectiveWeights(tinySettings({ alpha: 0.3, ...settings }));
    const heads = { emotion: true, ...settings.auxiliary };
    const ofHead = (['emotion', 'gender', 'speaker'] as const).map((task) => (heads[task] ? weights[task] : 0));
    [weights.reconstruction, ...ofHead].forEach((weight, at) => expect(weight).toBeCloseTo(expected[at]!, 9));
  });

  test.each(equations)('scales the rate of the encoder in the phases alike: %s', (_name, settings, [reconstruction, ...tasks]) => {
    const model = createPaperModel(tinySettings({ alpha: 0.3, learningRate: 1, ...settings }));
    const { reconstructionEncoder, classificationEncoder } = model.optimisers;
    expect(reconstructionEncoder?.learningRate).toBeCloseTo(reconstruction!, 9);
    const isOneTask = tasks.filter((weight) => weight > 0).length === 1;
    expect(classificationEncoder?.learningRate).toBeCloseTo(isOneTask ? 0.7 : 1, 9);
    model.dispose();
  });

  test.each([{ auxiliary: none }, { auxiliary: gender, beta: 0 }])('gives a supervised system no alpha', (settings) => {
    const weights = objectiveWeights(tinySettings({ system: 'cnn', alpha: 0.3, ...settings }));
    expect(Math.max(weights.emotion, weights.gender)).toBe(1);
  });
});
