/** Tells if a row has an alpha or a beta in its loss. References have neither, supervised networks no alpha, single-task rows no beta. */
import type { ExperimentRow, LossWeight } from './experiment-results.js';

export function hasWeight(weight: LossWeight, { system, auxiliary, isQuotedOnly }: ExperimentRow): boolean {
  if (isQuotedOnly) return false;
  return weight === 'alpha' ? system === 'aae' || system === 'ae' : auxiliary.length > 0 && system !== 'progressive';
}
