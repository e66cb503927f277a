/** Which rows of an experiment have an alpha or a beta in their loss: references have none, a supervised network no alpha, a single task no beta. */
import type { ExperimentRow, LossWeight } from './experiment-results.js';

export function hasWeight(weight: LossWeight, { system, auxiliary, isQuotedOnly }: ExperimentRow): boolean {
  if (isQuotedOnly) return false;
  return weight === 'alpha' ? system === 'aae' || system === 'ae' : auxiliary.length > 0 && system !== 'progressive';
}
