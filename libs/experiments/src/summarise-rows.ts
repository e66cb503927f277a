/** Summarises an experiment's rows for the terminal: finished jobs and mean scores. The report has more detail. */
import type { Task } from '#contracts/labels.js';
import type { ExperimentJob, ExperimentResults, ExperimentRow, JobResult } from './experiment-results.js';
import { mean, standardDeviation } from '#evaluation/mean-deviation.js';
import { primaryTask } from './primary-task.js';

export interface RowSummary {
  id: string;
  label: string;
  /** The point of a sweep; null without a sweep. */
  point: number | null;
  done: number;
  planned: number;
  /** Means over the finished jobs; null before the first. */
  wa: number | null;
  ua: number | null;
  /** Standard deviation of UA over the finished jobs; null for fewer than two. */
  uaDeviation: number | null;
}

type Planned = Pick<ExperimentResults, 'rows' | 'missing'> & { results: readonly Pick<JobResult, 'job' | 'evaluations'>[] };

/** One summary for each row and point. */
export function summariseRows({ rows, results, missing }: Planned): RowSummary[] {
  const jobs = [...results.map(({ job }) => job), ...missing];
  return rows
    .filter(({ isQuotedOnly }) => !isQuotedOnly)
    .flatMap((row) => pointsOf(row, jobs).map((point) => summarise(row, point, { results, missing })));
}

const pointsOf = ({ id }: ExperimentRow, jobs: readonly ExperimentJob[]): (number | null)[] =>
  [...new Set(jobs.filter(({ rowId }) => rowId === id).map(({ point }) => point))].sort((a, b) => (a ?? 0) - (b ?? 0));

function summarise(row: ExperimentRow, point: number | null, { results, missing }: Omit<Planned, 'rows'>): RowSummary {
  const isOwn = (job: ExperimentJob): boolean => job.rowId === row.id && job.point === point;
  const done = results.filter(({ job }) => isOwn(job));
  const scores = done.flatMap(({ evaluations }) => evaluations.find(({ task }) => task === mainTask(row, evaluations)) ?? []);
  const [wa, ua] = [meanOf(scores.map((each) => each.wa)), meanOf(scores.map((each) => each.ua))];
  return {
    id: row.id,
    label: point === null ? row.label : `${row.label}, ${point}`,
    point,
    done: done.length,
    planned: done.length + missing.filter(isOwn).length,
    wa,
    ua,
    uaDeviation: standardDeviation(scores.map((each) => each.ua)),
  };
}

/** The task of the emotion head, unless the row learns another task alone. */
function mainTask(row: ExperimentRow, evaluations: JobResult['evaluations']): Task | undefined {
  return evaluations.find(({ task }) => task === primaryTask(row))?.task ?? evaluations[0]?.task;
}

const meanOf = (values: number[]): number | null => (values.length > 0 ? mean(values) : null);
