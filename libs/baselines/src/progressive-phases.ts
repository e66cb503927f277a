/**
 * The two phases of a progressive network (progressive.ts), one after another: `sourceSteps` updates of the first column on
 * its task, then emotion in the second, with the first one frozen. Which phase it is follows from the updates that the first
 * column has had, which a checkpoint holds: a resumed run is in the phase it was in.
 */
import * as tf from '@tensorflow/tfjs';
import { byBatchStatistics, type Normalise, type ObservedStatistics, updateRunningStatistics } from '#paper/batch-norm.js';
import { headLoss, type Labels, type TaskLosses } from '#paper/classification-phase.js';
import type { HeadName } from '#paper/losses.js';
import type { Model } from '#paper/model.js';
import type { Head, Network } from '#paper/networks.js';
import { noDropout, seededDropout } from '#paper/networks.js';
import { lossAndGradients } from '#tensor/parameter.js';
import { type Column, frozenPass, type Lateral, sourcePass, targetPass } from './progressive.js';
import { sourceTaskOf } from '#paper/settings.js';

/** Whether the first column still learns. Other systems have none. */
export function isLearningSource({ optimisers, settings }: Model): boolean {
  const updates = optimisers.source?.slots[0]?.step;
  return updates !== undefined && updates < settings.progressive!.sourceSteps;
}

export function sourceColumn({ source, heads, settings }: Model): Column {
  return { encoder: source!, head: heads[sourceTaskOf(settings)]! };
}

export function targetColumn({ encoder, heads, lateral }: Model): Column & { lateral: Network<Lateral> } {
  return { encoder, head: heads.emotion as Network<Head>, lateral: lateral! };
}

/**
 * Moves the first column and its running statistics, or, once it is frozen, the second one, the adapters and its statistics;
 * nothing of the other column. Without a tile that carries the label that is learnt nothing moves and nothing is
 * returned. The caller disposes the losses.
 */
export function progressivePhase(model: Model, pixels: tf.Tensor4D, labels: Labels): TaskLosses {
  const task: HeadName = isLearningSource(model) ? sourceTaskOf(model.settings) : 'emotion';
  if (!labels[task].some((label) => label >= 0)) return {};
  const optimiser = task === 'emotion' ? model.optimisers.target! : model.optimisers.source!;
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

/** One pass of a column, for its batch-norm statistics: that of the phase, or the first, at its end. */
export function observeColumn(
  model: Model,
  pixels: tf.Tensor4D,
  { normalise, ofSource }: { normalise: Normalise; ofSource: boolean },
): void {
  if (ofSource || isLearningSource(model)) sourcePass(sourceColumn(model), pixels, { normalise, dropout: noDropout });
  else targetPass(targetColumn(model), pixels, { source: frozenPass(sourceColumn(model), pixels), normalise, dropout: noDropout });
}
