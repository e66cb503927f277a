/**
 * How far latents lie from the prior, by measures that know nothing of the model's discriminator: the squared maximum mean
 * discrepancy (Gretton et al. 2012, eq. 3, unbiased, RBF kernel of the median distance), and what a discriminator tells
 * apart that is trained afresh on one half of the latents and asked about the other.
 */
import * as tf from '@tensorflow/tfjs';
import { Adam } from './adam.js';
import { discriminatorAccuracy, discriminatorLoss } from './losses.js';
import { createHead, headLogits, noDropout } from './networks.js';
import { lossAndGradients } from '#tensor/parameter.js';
import { SeededRandom } from '#tensor/random.js';
import { latentShape, type ModelSettings } from './settings.js';

/** Steps and samples of each kind in one, of the discriminator that is trained afresh. */
const FRESH_STEPS = 200;
const FRESH_BATCH = 64;

/** @param z of `count` tiles, row-major @returns 0 for the same distribution, in the mean; negative by chance */
export function squaredMmdToPrior(z: Float32Array, count: number): number {
  const size = z.length / count;
  const prior = SeededRandom.fromSeed(3).normal([count, size]);
  const pooled = tf.concat([tf.tensor(z, [count, size]), prior]) as tf.Tensor2D; // [2B,D]
  const squares = tf.sum(tf.square(pooled), 1, true); // [2B,1]
  const distances = tf.sub(tf.add(squares, tf.transpose(squares)), tf.mul(2, tf.matMul(pooled, pooled, false, true))).dataSync(); // [2B,2B]
  const at = (i: number, j: number) => Math.max(0, distances[i * 2 * count + j]!);
  const pairs: number[] = [];
  for (let i = 0; i < 2 * count; i++) for (let j = 0; j < i; j++) pairs.push(at(i, j));
  const median = pairs.sort((a, b) => a - b)[pairs.length >> 1]!;
  const kernel = (i: number, j: number) => Math.exp(-at(i, j) / median);
  const within = { sum: 0, pairs: 2 * count * (count - 1) };
  const across = { sum: 0, pairs: count * count };
  for (let i = 0; i < 2 * count; i++)
    for (let j = 0; j < 2 * count; j++) {
      if (i !== j && i < count === j < count) within.sum += kernel(i, j);
      else if (i < count && j >= count) across.sum += kernel(i, j);
    }
  return 2 * (within.sum / within.pairs - across.sum / across.pairs);
}

/** Of the model's own kind. @returns the share of unseen latents and prior samples that it tells apart: 0.5 is a guess */
export function freshDiscriminatorAccuracy(z: Float32Array, count: number, settings: ModelSettings): number {
  return tf.tidy(() => {
    const random = SeededRandom.fromSeed(9_000 + settings.seed);
    const shape = latentShape(settings);
    const half = count >> 1;
    const [known, unseen] = tf.split(tf.tensor4d(z, [count, ...shape]), [half, count - half]) as [tf.Tensor4D, tf.Tensor4D];
    const discriminator = createHead('fresh', 1, settings, random);
    const optimiser = new Adam('fresh', discriminator.parameters, { learningRate: 3e-3, epsilon: 1e-7 });
    const logits = (of: tf.Tensor4D) => headLogits(discriminator, of, noDropout);
    const prior = (size: number) => random.normal([size, ...shape]) as tf.Tensor4D;
    for (let step = 0; step < FRESH_STEPS; step++)
      tf.tidy(() => {
        const drawn = Int32Array.from({ length: FRESH_BATCH }, () => Math.floor(random.uniform() * half));
        const [real, fake] = [prior(FRESH_BATCH), tf.gather(known, tf.tensor1d(drawn, 'int32'))];
        const { gradients } = lossAndGradients(() => discriminatorLoss(logits(real), logits(fake), 1), discriminator.parameters);
        optimiser.apply(gradients);
      });
    const accuracy = discriminatorAccuracy(logits(prior(count - half)), logits(unseen)).dataSync()[0]!;
    optimiser.dispose();
    for (const { value } of discriminator.parameters) value.dispose();
    return accuracy;
  });
}
