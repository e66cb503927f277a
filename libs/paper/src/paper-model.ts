/**
 * The paper's model (Section III, Fig. 1) and its two ablations. `aae`: the adversarial autoencoder with classifiers;
 * `ae`: the same without the discriminator and phase 2; `cnn`: the encoder's first blocks and the classifiers, phase 3 alone.
 * One iteration is the three phases in turn, each on the whole batch: reconstruction-phase.ts, regularisation-phase.ts,
 * classification-phase.ts. With `update: joint` it is eq. 5 in one step: joint-update.ts.
 */
import * as tf from '@tensorflow/tfjs';
import { byRunningStatistics, type Normalise } from './batch-norm.js';
import { classificationPhase } from './classification-phase.js';
import { jointUpdate } from './joint-update.js';
import { objectiveWeights } from './losses.js';
import { assembleModel, createHeads, createOptimisers, type Model } from './model.js';
import { createDecoder, createDiscriminator, createEncoder, decode, encode, headLogits, noDropout } from './networks.js';
import { reconstructionPhase } from './reconstruction-phase.js';
import { discriminatorStep, generatorStep } from './regularisation-phase.js';
import { isSupervised, type ModelSettings } from './settings.js';
import type { Inference, Labels, StepTensors, System } from './system.js';
import { SeededRandom } from '#tensor/random.js';

/** Makes a model with fresh weights on the current backend. The caller disposes it. */
export function createPaperModel(settings: ModelSettings): Model {
  const random = SeededRandom.fromSeed(settings.seed);
  const encoder = createEncoder(settings, random);
  const decoder = isSupervised(settings) ? null : createDecoder(settings, random);
  const discriminator = settings.system === 'aae' ? createDiscriminator(settings, random) : null;
  const heads = createHeads(settings, random);
  const networks = { settings, encoder, decoder, discriminator, heads, furtherNetworks: [], random };
  return assembleModel({ ...networks, optimisers: createOptimisers(networks) }, paperSystem);
}

function paperSystem(model: Model): System {
  return {
    iterate: (pixels, labels) => (model.optimisers.joint ? jointIteration(model, pixels, labels) : threePhases(model, pixels, labels)),
    infer: (pixels) => infer(model, pixels),
    observe: (pixels, normalise) => observe(model, pixels, normalise),
    objectiveWeights: () => objectiveWeights(model.settings),
    learnsWithoutEmotion: () => true,
  };
}

function threePhases(model: Model, pixels: tf.Tensor4D, labels: Labels): StepTensors {
  const measured: StepTensors = {};
  if (model.decoder) {
    const { loss, z } = reconstructionPhase(model, pixels);
    measured.reconstruction = loss;
    if (model.discriminator) {
      Object.assign(measured, measuredDiscriminator(model, z));
      measured.generator = generatorStep(model, pixels);
    }
    z.dispose();
  }
  return { ...measured, ...classificationPhase(model, pixels, labels) };
}

function jointIteration(model: Model, pixels: tf.Tensor4D, labels: Labels): StepTensors {
  const { losses, z } = jointUpdate(model, pixels, labels);
  const { total, ...measured } = losses;
  const discriminator = model.discriminator ? measuredDiscriminator(model, z) : {};
  tf.dispose([total, z]);
  return { ...measured, ...discriminator };
}

function measuredDiscriminator(model: Model, z: tf.Tensor4D): StepTensors {
  const { loss, accuracy } = discriminatorStep(model, z);
  return { discriminator: loss, discriminatorAccuracy: accuracy };
}

function infer({ encoder, heads }: Model, pixels: tf.Tensor4D): Inference {
  const z = encode(encoder, pixels, byRunningStatistics);
  return { z, logitsOf: (task) => headLogits(heads[task]!, z, noDropout) };
}

/** Encoder and decoder: the classifiers have no batch norm. */
function observe({ encoder, decoder }: Model, pixels: tf.Tensor4D, normalise: Normalise): void {
  const z = encode(encoder, pixels, normalise);
  if (decoder) decode(decoder, z, normalise);
}
