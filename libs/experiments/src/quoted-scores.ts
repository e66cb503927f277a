/** The paper's numbers beside ours. */
import type { Task } from '#contracts/labels.js';
import type { ExperimentRow } from './experiment-results.js';
import { primaryTask } from './primary-task.js';
import type { MeasureName } from './summarise-results.js';

/** @returns what the paper gives, in percent; undefined where it gives nothing */
export const quotedOf = ({ quoted }: ExperimentRow, task: Task, measure: MeasureName): ExperimentRow['quoted'][number] | undefined =>
  quoted.find((each) => each.task === task && each.measure === measure);

/** UA always, and WA where the paper gives one of a row, or gives nothing at all. */
export function measuresOf(rows: readonly ExperimentRow[]): MeasureName[] {
  const quoted = rows.flatMap((row) => row.quoted.filter(({ task }) => task === primaryTask(row)));
  return quoted.length === 0 || quoted.some(({ measure }) => measure === 'wa') ? ['wa', 'ua'] : ['ua'];
}
