/** Of a sweep, the references that what is swept over does not touch: run at its first point, and the same at all others. */
import { referenceSystems } from './experiment-file.js';
import type { TaskSummary } from './summarise-results.js';

const references: ReadonlySet<string> = new Set(referenceSystems);

/** @returns ids of rows; none where there is but one point */
export function levelRows(summaries: readonly TaskSummary[]): Set<string> {
  if (new Set(summaries.map(({ point }) => point)).size < 2) return new Set();
  const ofReferences = Map.groupBy(
    summaries.filter(({ row }) => references.has(row.system)),
    ({ row }) => row.id,
  );
  return new Set([...ofReferences].filter(([, own]) => new Set(own.map(({ point }) => point)).size === 1).map(([id]) => id));
}
