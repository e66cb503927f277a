/**
 * Where a run stands in its rounds: at the unfinished end of the last one if its view is the same, else at the beginning of
 * another.
 */
import type { Checkpoint } from './checkpoint-store.js';
import type { BestCheck } from './early-stopping.js';
import { freshSamplerState, nextRoundState, type SamplerState } from './sampler.js';
import type { TrainingView } from '#index/training-index.js';

export interface PlaceInRound {
  round: number;
  /** Of the round, also where it was begun before this process. */
  startStep: number;
  endStep: number;
  sampler: SamplerState;
  best: BestCheck | null;
  /** The model that the round went on from. */
  parent: Checkpoint['parent'];
  erased: number;
}

/** @param step of the run, as it is now */
export function placeInRound(
  last: Checkpoint | null,
  view: Pick<TrainingView, 'digest'>,
  { step, roundSteps }: { step: number; roundSteps: number },
): PlaceInRound {
  const begun = { startStep: step, endStep: step + roundSteps, best: null, erased: 0 };
  if (!last) return { round: 1, ...begun, sampler: freshSamplerState(), parent: null };
  const isUnfinished = !last.complete && last.view.digest === view.digest;
  if (isUnfinished) {
    const { round, roundStartStep: startStep, best, parent, sampler, erasedInRound: erased } = last;
    return { round, startStep, endStep: startStep + last.roundSteps, sampler, best, parent, erased };
  }
  return {
    round: last.round + 1,
    ...begun,
    sampler: nextRoundState(last.sampler),
    parent: { step: last.step, sha256: last.weights.sha256 },
  };
}
