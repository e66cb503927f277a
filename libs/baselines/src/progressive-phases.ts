/**
 * The model of a progressive network (progressive.ts) and its two phases, one after another: `sourceSteps` updates of the first
 * column on its task, then emotion in the second, with the first one frozen. The phase follows from the updates that the first
 * column has had, which a checkpoint holds: a resumed run is in the phase it was in.
 */
import * as tf from '@tensorflow/tfjs';
import type { Adam } from '#paper/adam.js';
import { byBatchStatistics, byRunningStatistics, type ObservedStatistics, updateRunningStatistics } from '#paper/batch-norm.js';
import { type StatisticsBatch, reestimateBatchNorm } from '#paper/batch-norm-statistics.js';
import { headLoss } from '#paper/classification-phase.js';
import type { HeadName, ObjectiveWeights } from '#paper/losses.js';
import { adamOf, type AnyModel, assembleModel, createHeads, type Model, noOptimisers } from '#paper/model.js';
import { createEncoder, type EncoderBlock, type Network, noDropout, seededDropout } from '#paper/networks.js';
import { type ModelSettings, sourceTaskOf } from '#paper/settings.js';
import type { Inference, Labels, ObservingPass, System, TaskLosses } from '#paper/system.js';
import { lossAndGradients } from '#tensor/parameter.js';
import { SeededRandom } from '#tensor/random.js';
import { type Column, createLateral, frozenPass, type Lateral, sourcePass, targetPass } from './progressive.js';

interface ProgressiveModel extends Model {
  /** The first column's encoder. Its head is that of the source task. */
  readonly source: Network<EncoderBlock[]>;
  /** The adapters from the first column to the second. */
  readonly lateral: Network<Lateral>;
  /** `source` moves the first column, `target` the second and the adapters. */
  readonly optimisers: Model['optimisers'] & { source: Adam; target: Adam };
}

/** Makes a model with fresh weights on the current backend. The caller disposes it. */
export function createProgressive(settings: ModelSettings): ProgressiveModel {
  const random = SeededRandom.fromSeed(settings.seed);
  const encoder = createEncoder(settings, random);
  const heads = createHeads(settings, random);
  const source = createEncoder(settings, random, 'source');
  const lateral = createLateral(settings, random);
  const adam = adamOf(settings);
  const optimisers = {
    ...noOptimisers,
    source: adam('source', [...source.parameters, ...heads[sourceTaskOf(settings)]!.parameters], 1),
    target: adam('target', [...encoder.parameters, ...lateral.parameters, ...heads.emotion.parameters], 1),
  };
  const networks = { encoder, decoder: null, discriminator: null, heads, source, lateral, furtherNetworks: [source, lateral] };
  return assembleModel({ settings, ...networks, optimisers, random }, progressiveSystem);
}

function progressiveSystem(model: ProgressiveModel): System {
  return {
    iterate: (pixels, labels) => progressivePhase(model, pixels, labels),
    infer: (pixels) => infer(model, pixels),
    observe: (pixels, normalise) => (isLearningSource(model) ? observeSource(model) : observeTarget(model))(pixels, normalise),
    objectiveWeights: () => oneTask,
    learnsWithoutEmotion: () => isLearningSource(model),
  };
}

/** A step learns one task. */
const oneTask: ObjectiveWeights = { reconstruction: 0, generator: 0, emotion: 1, gender: 1, speaker: 1 };

const isProgressive = (model: AnyModel): model is ProgressiveModel => model.settings.system === 'progressive';

/** True while the first column of a progressive network still learns. Models of other systems have no such column. */
export function isLearningSource(model: AnyModel): boolean {
  if (!isProgressive(model)) return false;
  const updates = model.optimisers.source.slots[0]!.step;
  return updates < model.settings.progressive!.sourceSteps;
}

/** Measures the running statistics of the first column, in whatever phase the model is; see `reestimateBatchNorm`. */
export async function reestimateSourceColumn(model: AnyModel, batches: Iterable<StatisticsBatch>): Promise<void> {
  if (!isProgressive(model)) throw new TypeError(`system ${model.settings.system} has no source column: ask isLearningSource first`);
  await reestimateBatchNorm(model, batches, observeSource(model));
}

const sourceColumn = ({ source, heads, settings }: ProgressiveModel): Column => ({ encoder: source, head: heads[sourceTaskOf(settings)]! });

const targetColumn = ({ encoder, heads, lateral }: ProgressiveModel) => ({ encoder, head: heads.emotion, lateral });

/**
 * Moves the first column and its running statistics, or, once it is frozen, the second one, the adapters and its statistics;
 * nothing of the other column. Without a tile that carries the label that is learnt nothing moves and nothing is
 * returned. The caller disposes the losses.
 */
function progressivePhase(model: ProgressiveModel, pixels: tf.Tensor4D, labels: Labels): TaskLosses {
  const task: HeadName = isLearningSource(model) ? sourceTaskOf(model.settings) : 'emotion';
  if (!labels[task].some((label) => label >= 0)) return {};
  const optimiser = task === 'emotion' ? model.optimisers.target : model.optimisers.source;
  const dropout = seededDropout(model.random, model.settings.dropout);
  return tf.tidy(() => {
    const observed: ObservedStatistics[] = [];
    const normalise = byBatchStatistics(observed);
    // Outside of the gradient: to the second column the first is a constant.
    const source = task === 'emotion' ? frozenPass(sourceColumn(model), pixels) : null;
    const { loss, gradients } = lossAndGradients(
      () => {
        const { logits } = source
          ? targetPass(targetColumn(model), pixels, { source, normalise, dropout })
          : sourcePass(sourceColumn(model), pixels, { normalise, dropout });
        return headLoss(model, task, logits, labels);
      },
      optimiser.slots.map(({ parameter }) => parameter),
    );
    optimiser.apply(gradients);
    updateRunningStatistics(observed, model.settings.batchNormMomentum);
    return { [task]: loss };
  });
}

/** Emotion is answered by the second column, the source task by the first. */
function infer(model: ProgressiveModel, pixels: tf.Tensor4D): Inference {
  const source = frozenPass(sourceColumn(model), pixels);
  const target = targetPass(targetColumn(model), pixels, { source, normalise: byRunningStatistics, dropout: noDropout });
  return { z: target.z, logitsOf: (task) => (task === 'emotion' ? target : source).logits };
}

function observeSource(model: ProgressiveModel): ObservingPass {
  return (pixels, normalise) => void sourcePass(sourceColumn(model), pixels, { normalise, dropout: noDropout });
}

function observeTarget(model: ProgressiveModel): ObservingPass {
  return (pixels, normalise) => {
    const source = frozenPass(sourceColumn(model), pixels);
    targetPass(targetColumn(model), pixels, { source, normalise, dropout: noDropout });
  };
}
