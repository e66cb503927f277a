/**
 * The learning rate within a round, as a factor on the rate of every optimiser: a linear warm-up, then constant, or down a
 * half cosine to a tenth (Loshchilov and Hutter 2017). Each round restarts it, so that new utterances train at the full rate.
 */
export const rateSchedules = ['constant', 'cosine'] as const;

export interface RateSchedule {
  schedule: (typeof rateSchedules)[number];
  warmupSteps: number;
}

const lowest = 0.1;

/** @param stepInRound counts from 0 */
export function rateFactor({ schedule, warmupSteps }: RateSchedule, stepInRound: number, roundSteps: number): number {
  if (stepInRound < warmupSteps) return (stepInRound + 1) / (warmupSteps + 1);
  if (schedule === 'constant') return 1;
  const share = Math.min(1, (stepInRound - warmupSteps) / Math.max(1, roundSteps - warmupSteps));
  return lowest + ((1 - lowest) * (1 + Math.cos(Math.PI * share))) / 2;
}
