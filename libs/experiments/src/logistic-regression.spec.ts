import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, it } from 'vitest';
import { mostProbable } from '#evaluation/confusion.js';
import { seededRandom } from '#evaluation/seeded-random.js';
import { fitLogisticRegression, type Features } from './logistic-regression.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** The class is the index of the highest of three features. The fourth feature is constant. */
function made(count: number, seed: number): { features: Features; classes: Int32Array } {
  const random = seededRandom(seed);
  const classes = Int32Array.from({ length: count }, (_, index) => index % 3);
  const values = Float32Array.from({ length: count * 4 }, (_, at) => {
    const [index, feature] = [Math.floor(at / 4), at % 4];
    return feature === 3 ? 5 : random() + (feature === classes[index] ? 1.5 : 0);
  });
  return { features: { values, count, size: 4 }, classes };
}

it('separates separable classes, returns probabilities, repeats exactly, and leaks no tensor', async () => {
  const [train, test] = [made(60, 1), made(30, 2)];
  const before = tf.memory().numTensors;
  const answers = async () => (await fitLogisticRegression(train.features, train.classes, { classCount: 3, l2: 1e-3 }))(test.features);
  const probabilities = await answers();
  for (const [index, truth] of test.classes.entries()) {
    const own = probabilities.subarray(index * 3, index * 3 + 3);
    expect(own.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 5);
    expect(mostProbable(own)).toBe(truth);
  }
  expect(await answers()).toEqual(probabilities);
  expect(tf.memory().numTensors).toBe(before);
});
