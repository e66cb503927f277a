/** Finds the paper's numbers for a row. */
import type { Task } from '#contracts/labels.js';
import type { ExperimentRow } from './experiment-results.js';
import { primaryTask } from './primary-task.js';
import type { MeasureName } from './summarise-results.js';

/** @returns the paper's number in percent; undefined if it gives none */
export const quotedOf = ({ quoted }: ExperimentRow, task: Task, measure: MeasureName): ExperimentRow['quoted'][number] | undefined =>
  quoted.find((each) => each.task === task && each.measure === measure);

/** Always UA; also WA if the paper gives the WA of some row, or gives no number at all. */
export function measuresOf(rows: readonly ExperimentRow[]): MeasureName[] {
  const quoted = rows.flatMap((row) => row.quoted.filter(({ task }) => task === primaryTask(row)));
  return quoted.length === 0 || quoted.some(({ measure }) => measure === 'wa') ? ['wa', 'ua'] : ['ua'];
}
