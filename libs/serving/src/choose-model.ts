/**
 * Chooses the model that answers: the champion of the newest model's target, else the newest model. The command `predict` and the
 * predictor both choose here.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { currentChampion } from '#evaluation/champions.js';
import { type Checkpoint, findCheckpoint, findNewestModel, targetOf } from '#rounds/checkpoint-store.js';
import type { Objects } from '#storage/object-store.js';

export interface ChosenModel {
  checkpoint: Checkpoint;
  /** The object champions/<number>.json; null if no model is champion of its target yet. */
  champion: number | null;
}

/** @returns null if no round has finished yet @throws PipelineError CONFIG_INVALID if the champion's model is gone */
export async function chooseServedModel(store: Objects): Promise<ChosenModel | null> {
  const newest = await findNewestModel(store);
  if (!newest) return null;
  const target = targetOf(newest);
  const champion = await currentChampion(store, target);
  if (!champion) return { checkpoint: newest, champion: null };
  const { runId, step, sha256 } = champion.model;
  const checkpoint = await findCheckpoint(store, runId, step);
  if (!checkpoint || checkpoint.weights.sha256 !== sha256) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `Champion ${champion.number} of ${target} is ${runId}/${step}, which ${checkpoint ? 'is another model now' : 'no longer exists'}. Choose another champion with \`./undertone promote\` or \`rollback\`, or use the newest model with --newest.`,
    );
  }
  return { checkpoint, champion: champion.number };
}

/** The reason for the choice, in words. */
export const whyChosen = ({ checkpoint, champion }: ChosenModel): string =>
  champion === null ? `the newest; no model is champion of ${targetOf(checkpoint)} yet` : `champion ${champion} of ${targetOf(checkpoint)}`;
