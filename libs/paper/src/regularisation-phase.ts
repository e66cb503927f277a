/**
 * Phase 2 (paper, Section III-A, eq. 4 and the first term of eq. 5): the discriminator learns to tell prior samples from
 * latents; then the encoder, as generator, learns to pass for the prior. The prior has z's support: N(0, I), or the
 * rectified normal where z is rectified; otherwise the two could be told apart for nothing.
 */
import * as tf from '@tensorflow/tfjs';
import { byBatchStatistics } from './batch-norm.js';
import { adversarialTrust, discriminatorAccuracy, discriminatorLoss, generatorLoss } from './losses.js';
import type { Model } from './model.js';
import type { ModelSettings } from './settings.js';
import { encode, headLogits, noisyLatent, seededDropout } from './networks.js';
import { lossAndGradients } from '#tensor/parameter.js';

/**
 * Moves the discriminator, nothing else: z comes as a constant.
 * @returns its loss and the share of samples it told apart; the caller disposes both.
 */
export function discriminatorStep(model: Model, z: tf.Tensor4D): { loss: tf.Scalar; accuracy: tf.Scalar } {
  const { settings, random, optimisers } = model;
  const discriminator = model.discriminator!;
  return tf.tidy(() => {
    const dropout = seededDropout(random, settings.dropout);
    const prior = samplePrior(model, z.shape);
    let accuracy!: tf.Scalar;
    const { loss, gradients } = lossAndGradients(() => {
      const real = headLogits(discriminator, prior, dropout); // [B,16,16,32] -> [B,1]
      const fake = headLogits(discriminator, z, dropout); // [B,16,16,32] -> [B,1]
      accuracy = tf.keep(discriminatorAccuracy(real, fake));
      return discriminatorLoss(real, fake, settings.regularisation.realLabel);
    }, discriminator.parameters);
    const { accuracyLimit } = settings;
    // A rest is a gradient of 0, so that nothing has to be read back from the device.
    const learns = accuracyLimit === undefined ? null : tf.cast(tf.lessEqual(accuracy, accuracyLimit), 'float32');
    optimisers.discriminator!.apply(learns ? gradients.map((gradient) => gradient && tf.mul(gradient, learns)) : gradients);
    return { loss, accuracy };
  });
}

/**
 * Moves the encoder against the frozen discriminator, which stays as it is; running statistics stay too.
 * @returns the generator's loss; the caller disposes it.
 */
export function generatorStep(model: Model, pixels: tf.Tensor4D): tf.Scalar {
  const { encoder, settings, random, optimisers } = model;
  const discriminator = model.discriminator!;
  return tf.tidy(() => {
    const { loss, gradients } = lossAndGradients(() => {
      const z = noisyLatent(encode(encoder, pixels, byBatchStatistics()), settings, random);
      const logits = headLogits(discriminator, z, seededDropout(random, settings.dropout));
      return adversarialLoss(logits, settings);
    }, encoder.parameters);
    optimisers.generator!.apply(gradients);
    return loss;
  });
}

/** The generator's loss. Where the settings limit the discriminator's accuracy, less of it counts the surer that one is. */
export function adversarialLoss(logits: tf.Tensor2D, { regularisation, accuracyLimit }: ModelSettings): tf.Scalar {
  const loss = generatorLoss(logits, regularisation.generatorLoss);
  if (accuracyLimit === undefined) return loss;
  const toldApart = tf.mean<tf.Scalar>(tf.sigmoid(tf.neg(logits)));
  return tf.mul(loss, withoutGradient(adversarialTrust(toldApart, accuracyLimit)));
}

const withoutGradient = tf.customGrad((x) => ({ value: (x as tf.Tensor).clone(), gradFunc: (dy) => tf.zerosLike(dy) }));

function samplePrior({ settings, random }: Model, shape: number[]): tf.Tensor4D {
  const normal = random.normal(shape) as tf.Tensor4D;
  return settings.latent === 'relu' ? tf.relu(normal) : normal;
}
