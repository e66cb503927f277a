/**
 * Finds where a run continues: in its last round if that is unfinished and the view is unchanged, else at the start of a
 * new round.
 */
import type { Checkpoint } from './checkpoint-store.js';
import type { BestCheck } from './early-stopping.js';
import { freshSamplerState, nextRoundState, type SamplerState } from './sampler.js';
import type { TrainingView } from '#index/training-index.js';

export interface RoundPosition {
  round: number;
  /** First step of the round, even if an earlier process began it. */
  startStep: number;
  endStep: number;
  sampler: SamplerState;
  best: BestCheck | null;
  /** The model that the round continued from. */
  parent: Checkpoint['parent'];
  erased: number;
}

/** @param step current step of the run */
export function roundPosition(
  last: Checkpoint | null,
  view: Pick<TrainingView, 'digest'>,
  { step, roundSteps }: { step: number; roundSteps: number },
): RoundPosition {
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
