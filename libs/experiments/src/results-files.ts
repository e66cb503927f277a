/** Writes a report's numbers for other programs: a CSV row for each job and task, and JSON with summaries and comparisons. */
import { csvField } from '#corpora/csv-field.js';
import type { BuiltReport } from './build-report.js';
import type { ComparisonFamily } from './compare-systems.js';
import type { ExperimentResults } from './experiment-results.js';
import type { TaskSummary } from './summarise-results.js';

type CsvRecord = Record<string, string | number | boolean | null>;

const columns = [
  'experiment',
  'row',
  'label',
  'system',
  'target',
  'auxiliary',
  'point',
  'fold',
  'seed',
  'alpha',
  'beta',
  'task',
  'split',
  'n',
  'speakers',
  'wa',
  'ua',
  'recall',
  'best_step',
  'wall_sec',
  'machine',
  'code_version',
  'synthetic',
  'job',
] as const;

/** Shares are from 0 to 1, at full precision; recall is `angry=0.5;happy=`, with an empty value for a class that does not occur. */
export function resultsCsv(all: ExperimentResults): string {
  const lines = all.results
    .flatMap((result) => recordsOf(all, result))
    .map((record) => columns.map((name) => csvField(record[name] ?? null)));
  return `${[columns, ...lines].map((line) => line.join(',')).join('\n')}\n`;
}

function recordsOf(
  { experiment, rows, isSynthetic }: ExperimentResults,
  { job, ...result }: ExperimentResults['results'][number],
): CsvRecord[] {
  const row = rows.find(({ id }) => id === job.rowId);
  return result.evaluations.map(({ task, split, n, speakers, wa, ua, recall }) => ({
    experiment: experiment.name,
    row: job.rowId,
    label: row?.label ?? null,
    system: row?.system ?? null,
    target: row?.target ?? null,
    auxiliary: row?.auxiliary.join('+') ?? null,
    point: job.point,
    fold: job.fold,
    seed: job.seed,
    alpha: job.alpha,
    beta: job.beta,
    task,
    split,
    n,
    speakers,
    wa,
    ua,
    recall: Object.entries(recall)
      .map(([name, value]) => `${name}=${value ?? ''}`)
      .join(';'),
    best_step: result.bestStep,
    wall_sec: result.wallSec,
    machine: result.machine,
    code_version: result.codeVersion,
    synthetic: isSynthetic,
    job: job.jobId,
  }));
}

/** The JSON leaves out predictions, curves and codes. They are large, and the job folders hold them. */
export function resultsJson(all: ExperimentResults, { summaries, families }: Omit<BuiltReport, 'report'>): string {
  const { results, latents: _latents, reconstructions: _reconstructions, ...rest } = all;
  const content = {
    ...rest,
    summaries: summaries.map(describeSummary),
    comparisons: families.flatMap(describeFamily),
    jobs: results.map(({ predictions: _predictions, curve: _curve, ...job }) => job),
  };
  return `${JSON.stringify(content, null, 1)}\n`;
}

const describeSummary = ({ row, names: _names, ...rest }: TaskSummary): object => ({ row: row.id, ...rest });

const describeFamily = ({ task, comparisons }: ComparisonFamily): object[] =>
  comparisons.map(({ first, second, tested, why, speakers }) => ({
    task,
    first: { row: first.row.id, point: first.point },
    second: { row: second.row.id, point: second.point },
    speakers,
    ...(tested ?? { notTested: why }),
  }));
