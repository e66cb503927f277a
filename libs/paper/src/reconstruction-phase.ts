/** Phase 1 (paper, Section III-A): the autoencoder minimises its reconstruction error over all tiles, labelled or not. */
import * as tf from '@tensorflow/tfjs';
import { byBatchStatistics, type ObservedStatistics, updateRunningStatistics } from './batch-norm.js';
import { meanSquaredError } from './losses.js';
import type { Model } from './model.js';
import { decode, encode, noisyLatent } from './networks.js';
import { lossAndGradients } from '#tensor/parameter.js';

/**
 * Moves encoder (at alpha times the rate) and decoder, and the running batch-norm statistics: this phase alone does, so
 * that one step counts once. Leaves discriminator and heads alone.
 * @returns the loss, and z as it was before the update: the discriminator learns from it, which spares it an encoder
 * pass at the price of a z that is one step old. The caller disposes both.
 */
export function reconstructionPhase(model: Model, pixels: tf.Tensor4D): { loss: tf.Scalar; z: tf.Tensor4D } {
  const { encoder, settings, optimisers, random } = model;
  const decoder = model.decoder!;
  return tf.tidy(() => {
    const observed: ObservedStatistics[] = [];
    const normalise = byBatchStatistics(observed);
    let z!: tf.Tensor4D;
    const { loss, gradients } = lossAndGradients(() => {
      z = tf.keep(noisyLatent(encode(encoder, pixels, normalise), settings, random));
      return meanSquaredError(pixels, decode(decoder, z, normalise));
    }, [...encoder.parameters, ...decoder.parameters]);
    const ofEncoder = encoder.parameters.length;
    optimisers.reconstructionEncoder!.apply(gradients.slice(0, ofEncoder));
    optimisers.reconstructionDecoder!.apply(gradients.slice(ofEncoder));
    updateRunningStatistics(observed, settings.batchNormMomentum);
    return { loss, z };
  });
}
