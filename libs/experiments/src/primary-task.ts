import { emotionTargets, type Task } from '#contracts/labels.js';
import type { ExperimentRow } from './experiment-results.js';

/** The task under which a row's emotion head is scored. */
export function primaryTask({ target }: Pick<ExperimentRow, 'target'>): Task {
  return emotionTargets.find((each) => each === target) ?? 'emotion';
}
