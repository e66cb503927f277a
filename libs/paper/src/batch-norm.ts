/**
 * Batch normalisation (Ioffe and Szegedy 2015; paper, Section IV-C): during training by the batch's own statistics, at
 * inference by running ones. Running statistics move only where a phase says so: see `updateRunningStatistics`.
 */
import * as tf from '@tensorflow/tfjs';
import { opsOfBackend } from '#tensor/ops-of-backend.js';
import type { Parameter } from '#tensor/parameter.js';

export const BATCH_NORM_EPSILON = 1e-3;

export interface BatchNormWeights {
  gamma: Parameter<tf.Rank.R1>;
  beta: Parameter<tf.Rank.R1>;
  runningMean: Parameter<tf.Rank.R1>;
  runningVariance: Parameter<tf.Rank.R1>;
}

/** Statistics one layer saw in one pass. Kept tensors: whoever passed the list disposes them. */
export interface ObservedStatistics {
  layer: BatchNormWeights;
  mean: tf.Tensor1D;
  variance: tf.Tensor1D;
}

/** How a network normalises: the mode of a pass, handed to `encode` and `decode`. */
export type Normalise = (x: tf.Tensor4D, layer: BatchNormWeights) => tf.Tensor4D;

/** Training mode. What the layers see is added to `observed` if given, in the order of the layers. */
export function byBatchStatistics(observed?: ObservedStatistics[]): Normalise {
  return (x, layer) => {
    const { normalised, mean, variance } = opsOfBackend().batchNormTraining(x, layer.gamma.value, layer.beta.value, BATCH_NORM_EPSILON);
    if (observed) observed.push({ layer, mean, variance });
    else tf.dispose([mean, variance]);
    return normalised;
  };
}

/** Inference mode. */
export const byRunningStatistics: Normalise = (x, { gamma, beta, runningMean, runningVariance }) =>
  tf.batchNorm4d(x, runningMean.value, runningVariance.value, beta.value, gamma.value, BATCH_NORM_EPSILON);

/** running = momentum * running + (1 - momentum) * batch, for each layer observed; disposes what was observed. */
export function updateRunningStatistics(observed: readonly ObservedStatistics[], momentum: number): void {
  const blend = (running: Parameter, seen: tf.Tensor) =>
    tf.tidy(() => running.value.assign(tf.add(tf.mul(running.value, momentum), tf.mul(seen, 1 - momentum))));
  for (const { layer, mean, variance } of observed) {
    blend(layer.runningMean, mean);
    blend(layer.runningVariance, variance);
    tf.dispose([mean, variance]);
  }
}
