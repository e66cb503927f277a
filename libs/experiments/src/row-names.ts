/** Names rows by their labels, and adds the id or target if two rows would have the same name. */
import { primaryTask } from './primary-task.js';
import type { ExperimentRow } from './experiment-results.js';
import { taskInText } from './task-names.js';

export interface RowNames {
  /** Unique among the rows of one target. */
  short: string;
  /** Unique among all rows. */
  full: string;
}

/** @returns by row id */
export function namesOfRows(rows: readonly ExperimentRow[]): Map<string, RowNames> {
  return new Map(
    rows.map((row) => {
      const alike = rows.filter(({ id, label }) => id !== row.id && label === row.label);
      const short = alike.some((other) => primaryTask(other) === primaryTask(row)) ? `${row.label} (${row.id})` : row.label;
      const full = alike.length === 0 ? row.label : `${short}, ${taskInText(primaryTask(row))}`;
      return [row.id, { short, full }];
    }),
  );
}
