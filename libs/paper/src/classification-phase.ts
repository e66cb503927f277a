/**
 * Phase 3 (paper, Sections III-A and III-B, eq. 3): classifiers and encoder minimise
 * beta * L_E + (1 - beta) * (L_G + L_S), each a mean over the tiles that carry that label.
 */
import * as tf from '@tensorflow/tfjs';
import { byBatchStatistics, type ObservedStatistics, updateRunningStatistics } from './batch-norm.js';
import { maskedCrossEntropy, type HeadName, headNames, taskWeight } from './losses.js';
import { type AnyModel, headParameters, type Model } from './model.js';
import { encode, headLogits, noisyLatent, maskSpeakers, seededDropout } from './networks.js';
import { lossAndGradients } from '#tensor/parameter.js';
import { isSupervised } from './settings.js';
import type { Labels, TaskLosses } from './system.js';

/** Heads that have something to learn from this batch: they exist, weigh more than 0, and a tile carries their label. */
function taughtTasks({ heads, settings }: Model, labels: Labels): HeadName[] {
  return headNames.filter((task) => heads[task] && taskWeight(task, settings) > 0 && labels[task].some((label) => label >= 0));
}

/** Each taught head's cross-entropy, in training mode. */
export function taskLosses(model: Model, z: tf.Tensor4D, labels: Labels): TaskLosses {
  const dropout = seededDropout(model.random, model.settings.dropout);
  const losses = taughtTasks(model, labels).map((task) => {
    const logits = headLogits(model.heads[task]!, z, dropout); // [B,16,16,32] -> [B,classes]
    return [task, headLoss(model, task, logits, labels)];
  });
  return Object.fromEntries(losses) as TaskLosses;
}

/** One head's cross-entropy, mean over the tiles that carry its label. */
export function headLoss({ settings, speakerCount }: AnyModel, task: HeadName, logits: tf.Tensor2D, labels: Labels): tf.Scalar {
  const targets = { labels: labels[task], smoothing: settings.labelSmoothing };
  if (task === 'emotion') return maskedCrossEntropy(logits, { ...targets, weights: labels.emotionWeights });
  if (task === 'gender') return maskedCrossEntropy(logits, targets);
  const loss = maskedCrossEntropy(maskSpeakers(logits, speakerCount), { ...targets, known: speakerCount });
  return settings.speakerLoss === 'raw' ? loss : tf.div(loss, Math.log(Math.max(2, speakerCount)));
}

/** Eq. (3) over the heads taught; the caller has made sure that there is one. */
export function classificationLoss(losses: TaskLosses, { settings }: Model): tf.Scalar {
  const present = headNames.filter((task) => losses[task]);
  return tf.addN<tf.Scalar>(present.map((task) => tf.mul(losses[task]!, taskWeight(task, settings))));
}

/**
 * Moves the encoder (single-task at 1 - alpha times the rate) and the heads whose label some tile carries; other heads,
 * decoder and discriminator stay untouched. Running statistics move for a CNN only, which has no phase 1.
 * Without any label nothing moves and nothing is returned. The caller disposes the losses.
 */
export function classificationPhase(model: Model, pixels: tf.Tensor4D, labels: Labels): TaskLosses {
  const { encoder, heads, settings, optimisers } = model;
  if (taughtTasks(model, labels).length === 0) return {};
  return tf.tidy(() => {
    const observed: ObservedStatistics[] = [];
    const normalise = byBatchStatistics(isSupervised(settings) ? observed : undefined);
    let losses: TaskLosses = {};
    const { gradients } = lossAndGradients(() => {
      losses = taskLosses(model, noisyLatent(encode(encoder, pixels, normalise), settings, model.random), labels);
      for (const loss of Object.values(losses)) tf.keep(loss);
      return classificationLoss(losses, model);
    }, [...encoder.parameters, ...headParameters(heads)]);
    const ofEncoder = encoder.parameters.length;
    optimisers.classificationEncoder!.apply(gradients.slice(0, ofEncoder));
    optimisers.classificationHeads!.apply(gradients.slice(ofEncoder));
    updateRunningStatistics(observed, settings.batchNormMomentum);
    return losses;
  });
}
