import { emotionTargets, type Task } from '#contracts/labels.js';
import type { ExperimentRow } from './experiment-results.js';

/** What the emotion head of a row learns, as the task that it is scored under. */
export function primaryTask({ target }: Pick<ExperimentRow, 'target'>): Task {
  return emotionTargets.find((each) => each === target) ?? 'emotion';
}
