/**
 * Eq. (5) read the faster way: reconstruction, generator and classification summed, their gradient taken through one
 * shared encoder pass, one step of one optimiser; then the discriminator's step on the same z.
 * Here the weights multiply the losses. The adversarial term is held low (0.1): at full weight heads learn much later.
 */
import * as tf from '@tensorflow/tfjs';
import { byBatchStatistics, type ObservedStatistics, updateRunningStatistics } from './batch-norm.js';
import { taskLosses } from './classification-phase.js';
import { meanSquaredError, objectiveWeights, type HeadName } from './losses.js';
import { headParameters, type Model } from './model.js';
import { adversarialLoss } from './regularisation-phase.js';
import { decode, encode, headLogits, noisyLatent, seededDropout } from './networks.js';
import { lossAndGradients } from '#tensor/parameter.js';
import type { Labels, TaskLosses } from './system.js';

export interface JointLosses extends TaskLosses {
  reconstruction: tf.Scalar;
  generator?: tf.Scalar;
  total: tf.Scalar;
}

/**
 * Moves encoder, decoder, the heads whose label some tile carries, and the running statistics. The discriminator is
 * frozen here. @returns the losses and z for `discriminatorStep`; the caller disposes them.
 */
export function jointUpdate(model: Model, pixels: tf.Tensor4D, labels: Labels): { losses: JointLosses; z: tf.Tensor4D } {
  const { encoder, discriminator, heads, settings, random, optimisers } = model;
  const decoder = model.decoder!;
  const weights = objectiveWeights(settings);
  return tf.tidy(() => {
    const observed: ObservedStatistics[] = [];
    const normalise = byBatchStatistics(observed);
    let parts!: Omit<JointLosses, 'total'>;
    let z!: tf.Tensor4D;
    const { loss, gradients } = lossAndGradients(() => {
      z = tf.keep(noisyLatent(encode(encoder, pixels, normalise), settings, random));
      parts = { reconstruction: meanSquaredError(pixels, decode(decoder, z, normalise)), ...taskLosses(model, z, labels) };
      if (discriminator) {
        const logits = headLogits(discriminator, z, seededDropout(random, settings.dropout));
        parts.generator = adversarialLoss(logits, settings);
      }
      for (const part of Object.values(parts)) tf.keep(part);
      const weighted = Object.entries(parts).map(([name, part]) =>
        tf.mul(part, weights[name as 'reconstruction' | 'generator' | HeadName]),
      );
      return tf.addN(weighted) as tf.Scalar; // Eq. (5)
    }, [...encoder.parameters, ...decoder.parameters, ...headParameters(heads)]);
    optimisers.joint!.apply(gradients);
    updateRunningStatistics(observed, settings.batchNormMomentum);
    return { losses: { ...parts, total: loss }, z };
  });
}
