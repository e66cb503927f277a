/** Of a sweep, the references that what is swept over does not touch: run at its first point, and the same at all others. */
import { isReference } from './experiment-file.js';
import type { ExperimentJob } from './experiment-results.js';
import type { TaskSummary } from './summarise-results.js';

/** @param missing jobs that are not done yet, at other points maybe @returns ids of rows; none where there is but one point */
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
