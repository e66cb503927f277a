/**
 * The model of the CNN-LSTM (cnn-lstm.ts) and its one phase: the paper's encoder with blocks of its own, and a recurrent head
 * for emotion. It learns from tiles that carry an emotion, each warped anew (vocal-tract-length.ts).
 */
import * as tf from '@tensorflow/tfjs';
import { byBatchStatistics, byRunningStatistics, type ObservedStatistics, updateRunningStatistics } from '#paper/batch-norm.js';
import { headLoss } from '#paper/classification-phase.js';
import { objectiveWeights } from '#paper/losses.js';
import { adamOf, assembleModel, type Model, noOptimisers } from '#paper/model.js';
import { createEncoder, encode, noDropout, seededDropout } from '#paper/networks.js';
import type { ModelSettings } from '#paper/settings.js';
import type { Labels, System, TaskLosses } from '#paper/system.js';
import { lossAndGradients } from '#tensor/parameter.js';
import { SeededRandom } from '#tensor/random.js';
import { createRecurrentHead, type RecurrentHead, recurrentLogits } from './cnn-lstm.js';
import { perturbed } from './vocal-tract-length.js';

type CnnLstm = Model<RecurrentHead>;

/** Makes a model with fresh weights on the current backend. The caller disposes it. */
export function createCnnLstm(settings: ModelSettings): CnnLstm {
  const random = SeededRandom.fromSeed(settings.seed);
  const encoder = createEncoder(settings, random);
  const emotion = createRecurrentHead('emotion', settings.tasks.emotion.length, settings, random);
  const adam = adamOf(settings);
  const optimisers = {
    ...noOptimisers,
    classificationEncoder: adam('classification.encoder', encoder.parameters, 1),
    classificationHeads: adam('classification.heads', emotion.parameters, settings.cnnLstm!.recurrentRate),
  };
  const heads = { emotion, gender: null, speaker: null };
  const networks = { encoder, decoder: null, discriminator: null, heads, furtherNetworks: [] };
  return assembleModel({ settings, ...networks, optimisers, random }, cnnLstmSystem);
}

function cnnLstmSystem(model: CnnLstm): System {
  const { encoder, heads, settings } = model;
  const { layers } = heads.emotion;
  return {
    iterate: (pixels, labels) => update(model, pixels, labels),
    infer: (pixels) => {
      const z = encode(encoder, pixels, byRunningStatistics);
      return { z, logitsOf: () => recurrentLogits(layers, z, { normalise: byRunningStatistics, dropout: noDropout }) };
    },
    observe: (pixels, normalise) => void recurrentLogits(layers, encode(encoder, pixels, normalise), { normalise, dropout: noDropout }),
    objectiveWeights: () => objectiveWeights(settings),
    learnsWithoutEmotion: () => false,
    augment: (tiles) => perturbed(tiles, settings.tile, { warp: settings.cnnLstm!.warp, random: model.random }),
  };
}

/** Moves every weight and every running statistic. Without a tile that carries an emotion nothing moves. */
function update(model: CnnLstm, pixels: tf.Tensor4D, labels: Labels): TaskLosses {
  const { encoder, heads, settings, optimisers, random } = model;
  if (!labels.emotion.some((label) => label >= 0)) return {};
  const dropout = seededDropout(random, settings.dropout);
  return tf.tidy(() => {
    const observed: ObservedStatistics[] = [];
    const normalise = byBatchStatistics(observed);
    const { loss, gradients } = lossAndGradients(() => {
      const z = encode(encoder, pixels, normalise);
      return headLoss(model, 'emotion', recurrentLogits(heads.emotion.layers, z, { normalise, dropout }), labels);
    }, [...encoder.parameters, ...heads.emotion.parameters]);
    const ofEncoder = encoder.parameters.length;
    optimisers.classificationEncoder!.apply(gradients.slice(0, ofEncoder));
    optimisers.classificationHeads!.apply(gradients.slice(ofEncoder));
    updateRunningStatistics(observed, settings.batchNormMomentum);
    return { emotion: loss };
  });
}
