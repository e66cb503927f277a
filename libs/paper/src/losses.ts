/**
 * The paper's losses, eq. 1 to 5, each a scalar tensor with its reduction named. Eq. 4 as printed has D(z^) in the first
 * term where the prior sample's D(z) is meant; eq. 5 as printed drops alpha and beta, which eq. 1 to 3 carry.
 */
import * as tf from '@tensorflow/tfjs';
import { hasAuxiliaryHeads, isSupervised, type ModelSettings } from './settings.js';

/** Emotion's head tells apart what `target` names: categories, levels or clusters. */
export const headNames = ['emotion', 'gender', 'speaker'] as const;
export type HeadName = (typeof headNames)[number];

/** d(x, D(E(x))) of eq. 5: mean over tiles, rows and frames. */
export function meanSquaredError(x: tf.Tensor4D, reconstructed: tf.Tensor4D): tf.Scalar {
  return tf.mean(tf.squaredDifference(x, reconstructed)); // [B,128,256,1] -> []
}

/** -t log s(l) - (1 - t) log(1 - s(l)), mean over the batch, without overflow for any logit. */
export function binaryCrossEntropy(logits: tf.Tensor, target: number): tf.Scalar {
  const tail = tf.log1p(tf.exp(tf.neg(tf.abs(logits))));
  return tf.mean(tf.add(tf.sub(tf.relu(logits), tf.mul(logits, target)), tail)); // [B,1] -> []
}

export interface Targets {
  /** Class numbers, -1 where a tile carries none. */
  labels: Int32Array;
  /** Share of a target that is spread evenly over the known classes. Default 0. */
  smoothing?: number;
  /** Classes that stand for somebody, the first ones; default all. */
  known?: number;
  /** By class, how much a tile of it counts; default 1. */
  weights?: Float32Array;
}

/** Cross-entropy, (weighted) mean over the tiles that carry a label (>= 0); 0 when none does. */
export function maskedCrossEntropy(logits: tf.Tensor2D, { labels, smoothing = 0, known = logits.shape[1], weights }: Targets): tf.Scalar {
  const [count, classes] = logits.shape;
  // By hand: tf.oneHot on the wasm backend writes integers into a float tensor, and the loss silently becomes 0.
  const truth = new Float32Array(count * classes);
  let total = 0;
  labels.forEach((label, tile) => {
    if (label < 0) return;
    const weight = weights?.[label] ?? 1;
    if (smoothing > 0) truth.fill((weight * smoothing) / known, tile * classes, tile * classes + known);
    truth[tile * classes + label]! += weight * (1 - smoothing);
    total += weight;
  });
  const logLikelihood = tf.sum(tf.mul(tf.tensor2d(truth, [count, classes]), tf.logSoftmax(logits))); // [B,classes] -> []
  return tf.div(tf.neg(logLikelihood), total === 0 ? 1 : total);
}

/**
 * Eq. (4): the discriminator's loss on prior samples (real) and latents (fake), mean over each, halved.
 * `realLabel` below 1 smooths one side, so that the discriminator never grows certain.
 */
export function discriminatorLoss(realLogits: tf.Tensor, fakeLogits: tf.Tensor, realLabel: number): tf.Scalar {
  return tf.mul(0.5, tf.add(binaryCrossEntropy(realLogits, realLabel), binaryCrossEntropy(fakeLogits, 0)));
}

/** Eq. (5), first term, mean over the batch: -log D(E(x)), which has a gradient at any logit, or log(1 - D(E(x))) as printed. */
export function generatorLoss(fakeLogits: tf.Tensor, form: ModelSettings['regularisation']['generatorLoss']): tf.Scalar {
  return form === 'literal' ? tf.neg(binaryCrossEntropy(fakeLogits, 0)) : binaryCrossEntropy(fakeLogits, 1);
}

/** Share of prior samples above and latents below the discriminator's even chance: 0.5 is a guess. */
export function discriminatorAccuracy(realLogits: tf.Tensor, fakeLogits: tf.Tensor): tf.Scalar {
  const real = tf.mean(tf.cast(tf.greater(realLogits, 0), 'float32'));
  const fake = tf.mean(tf.cast(tf.less(fakeLogits, 0), 'float32'));
  return tf.mul(0.5, tf.add(real, fake));
}

/**
 * The weight of the discriminator's pull at this accuracy: 1 up to the limit, then less, 0 at an accuracy of 1. A
 * discriminator that tells all apart has no direction to give, only force.
 * @returns a scalar; no gradient flows through it
 */
export function adversarialTrust(accuracy: tf.Scalar, limit: number): tf.Scalar {
  return tf.clipByValue(tf.div(tf.sub(1, accuracy), 1 - limit + 1e-6), 0, 1);
}

/** Eq. (3): beta on emotion, 1 - beta on the others. Eq. (1), single-task: L_su is emotion's loss alone. */
export function taskWeight(task: HeadName, settings: ModelSettings): number {
  if (!hasAuxiliaryHeads(settings)) return task === 'emotion' ? 1 : 0;
  return task === 'emotion' ? settings.beta : 1 - settings.beta;
}

/** The model learns two tasks or more. A head that weighs nothing learns nothing: beta 0 with a gender head is gender alone. */
function isMultiTask(settings: ModelSettings): boolean {
  const hasHead: Record<HeadName, boolean> = { emotion: true, ...settings.auxiliary };
  return headNames.filter((task) => hasHead[task] && taskWeight(task, settings) > 0).length > 1;
}

/**
 * The rule of alpha. Eq. (1), one task, weighs classification by 1 - alpha. Eq. (2), several tasks, weighs it by 1. A
 * supervised system has nothing to trade against. The phases apply it as a factor on the encoder's learning rate (model.ts).
 */
export function classificationWeight(settings: ModelSettings): number {
  return isMultiTask(settings) || isSupervised(settings) ? 1 : 1 - settings.alpha;
}

/** Phase 2 has its own optimiser in `phases`, where a factor on its loss would do nothing. */
function adversarialWeight(settings: ModelSettings): number {
  return settings.update === 'joint' ? settings.joint.adversarialWeight : 1;
}

export type ObjectiveWeights = Record<'reconstruction' | 'generator' | HeadName, number>;

/** The weight of each part of eq. (5) in the encoder's objective. The discriminator's own loss is no part of it. */
export function objectiveWeights(settings: ModelSettings): ObjectiveWeights {
  const classification = classificationWeight(settings);
  return {
    reconstruction: settings.alpha,
    generator: adversarialWeight(settings),
    emotion: classification * taskWeight('emotion', settings),
    gender: classification * taskWeight('gender', settings),
    speaker: classification * taskWeight('speaker', settings),
  };
}
