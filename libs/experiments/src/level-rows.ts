/** Finds the references of a sweep that its variable does not affect. They run at the first point and are drawn as a level line. */
import { isReference } from './experiment-file.js';
import type { ExperimentJob } from './experiment-results.js';
import type { TaskSummary } from './summarise-results.js';

/** @param missing unfinished jobs, possibly at other points @returns ids of rows; empty if there is only one point */
export function levelRows(summaries: readonly TaskSummary[], missing: readonly Pick<ExperimentJob, 'rowId' | 'point'>[]): Set<string> {
  if (new Set([...summaries, ...missing].map(({ point }) => point)).size < 2) return new Set();
  const pointsLeft = (id: string): (number | null)[] => missing.filter(({ rowId }) => rowId === id).map(({ point }) => point);
  const ofReferences = Map.groupBy(
    summaries.filter(({ row }) => isReference(row)),
    ({ row }) => row.id,
  );
  return new Set(
    [...ofReferences].filter(([id, own]) => new Set([...own.map(({ point }) => point), ...pointsLeft(id)]).size === 1).map(([id]) => id),
  );
}
