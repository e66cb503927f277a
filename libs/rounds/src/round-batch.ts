/** Builds the batches of a round for the model, and checks each batch before its step and the losses after it. */
import { PipelineError } from '#contracts/pipeline-error.js';
import type { HeadName } from '#paper/losses.js';
import type { ModelSettings } from '#paper/settings.js';
import type { StepLosses, TrainingBatch } from '#paper/train-step.js';
import { inverseFrequencies, type HeadLabels } from './head-labels.js';
import type { Sampler } from './sampler.js';
import type { TileRef } from './tile-pool.js';
import { isTrained } from '#index/training-index.js';

export type RunLabels = Record<HeadName, HeadLabels>;

/** Throws an unknown error, which ends the process: the sampler must have drawn wrongly for some time. */
export function refuseHeldOut(refs: readonly TileRef[]): void {
  const leaked = refs.find(({ utterance }) => !isTrained(utterance));
  if (leaked)
    throw new Error(`The sampler drew ${leaked.utterance.utteranceId} for training, but it is held out (${leaked.utterance.split})`);
}

export function batchOf(refs: readonly TileRef[], tiles: Uint8Array, labels: RunLabels): TrainingBatch {
  const labelsOf = ({ classOf }: HeadLabels): Int32Array => Int32Array.from(refs, ({ utterance }) => classOf(utterance));
  return {
    tiles,
    count: refs.length,
    emotion: labelsOf(labels.emotion),
    gender: labelsOf(labels.gender),
    speaker: labelsOf(labels.speaker),
  };
}

export function weightsOf(sampler: Sampler, { classBalance, tasks }: ModelSettings): Float32Array | undefined {
  return classBalance === 'weights' ? inverseFrequencies(sampler.tilesOfClass(tasks.emotion.length)) : undefined;
}

/** @throws PipelineError MODEL_DIVERGED: no later step can repair the weights, so the run goes back (run-model.ts) */
export function refuseDivergence(losses: StepLosses, step: number): void {
  const [part] = Object.entries(losses).find(([, loss]) => loss !== null && !Number.isFinite(loss)) ?? [];
  if (!part) return;
  throw new PipelineError(
    'MODEL_DIVERGED',
    `The ${part} loss is no longer a number after step ${step}. Lower learningRate in the model's settings. That starts another run.`,
  );
}

export const emptyLosses = {
  reconstruction: null,
  discriminator: null,
  generator: null,
  discriminatorAccuracy: null,
  emotion: null,
  gender: null,
  speaker: null,
};
