/**
 * Summarises the jobs' results for a report (paper, Section V): by row, point of a sweep and task.
 *
 * - Mean: the mean over seeds in each fold, then the mean over folds, as the paper's "mean over all iterations". The standard
 *   deviation over folds is that of these fold means (n - 1).
 * - Pooled: the score of the predictions of all folds and seeds together. If no job is missing, each seed has the same
 *   utterances. The pooled score is then the mean over seeds of the score over all test speakers.
 * - Interval: 95 % by bootstrap over speakers, of the pooled score. It is null below five speakers. It is also null for the
 *   speaker task, where drawing speakers would drop classes. Speakers without a known name are left out.
 */
import { reportedSplit } from '#contracts/evaluations.js';
import { emotionTargets, type Task } from '#contracts/labels.js';
import { scoreInterval, type SpeakerScored } from '#evaluation/bootstrap.js';
import { calibrationOf, type Calibration } from '#evaluation/calibration.js';
import { confusionMatrix, mostProbable, scoresOf } from '#evaluation/confusion.js';
import type { PredictionRow } from '#evaluation/predictions-file.js';
import { mean, standardDeviation } from '#evaluation/mean-deviation.js';
import type { ExperimentResults, ExperimentRow, JobResult } from './experiment-results.js';
import { primaryTask } from './primary-task.js';
import { namesOfRows, type RowNames } from './row-names.js';

export type MeasureName = 'ua' | 'wa';

/** All values are shares from 0 to 1; null if a value is unknown. */
export interface Measure {
  mean: number;
  sdOverFolds: number | null;
  sdOverSeeds: number | null;
  pooled: number | null;
  interval: [low: number, high: number] | null;
}

export interface TaskSummary {
  row: ExperimentRow;
  names: RowNames;
  point: number | null;
  task: Task;
  ua: Measure;
  wa: Measure;
  /** The numbers of utterances and speakers, each counted once. Unknown speakers are not counted. */
  utterances: number;
  speakers: number;
  folds: number;
  seeds: number;
  jobs: number;
  classes: string[];
  /** Rows: truth, columns: prediction; over all folds and seeds. Null if no job kept a matrix. */
  confusion: number[][] | null;
  /** Recall by class, pooled; null if the class does not occur. */
  recall: (number | null)[];
  /** Null if no predictions were kept. */
  calibration: Calibration | null;
}

/** Sorted by row, point and task, with emotion first. A row without a finished job has no summary. */
export function summariseResults({ rows, results }: Pick<ExperimentResults, 'rows' | 'results'>): TaskSummary[] {
  const names = namesOfRows(rows);
  return rows.flatMap((row) => {
    const byPoint = Map.groupBy(
      results.filter(({ job }) => job.rowId === row.id),
      ({ job }) => job.point,
    );
    return [...byPoint]
      .sort(([a], [b]) => (a ?? 0) - (b ?? 0))
      .flatMap(([point, jobs]) =>
        tasksOf(row, jobs).map((task) => summarise(jobs, { row, names: names.get(row.id) as RowNames, point, task })),
      );
  });
}

function tasksOf(row: ExperimentRow, jobs: readonly JobResult[]): Task[] {
  const found = new Set(jobs.flatMap(({ evaluations }) => evaluations.map(({ task }) => task)));
  const order: Task[] = [primaryTask(row), ...emotionTargets, 'gender', 'speaker'];
  return [...new Set(order)].filter((task) => found.has(task));
}

/** The predictions of a job's test fold (speaker task: of withheld utterances), with the names of their classes. */
export function reportedPredictions({ predictions }: JobResult, task: Task): { classes: string[]; rows: PredictionRow[] } {
  const own = predictions.find((each) => each.task === task);
  return { classes: own?.classes ?? [], rows: own?.rows.filter(({ split }) => split === reportedSplit(task)) ?? [] };
}

function summarise(
  jobs: readonly JobResult[],
  { row, names, point, task }: Pick<TaskSummary, 'row' | 'names' | 'point' | 'task'>,
): TaskSummary {
  const scored = jobs.filter(({ evaluations }) => evaluationOf(evaluations, task));
  const evaluated = scored.map(({ job, evaluations }) => ({ ...job, evaluation: evaluationOf(evaluations, task) as Evaluation }));
  const { classes, answers, rows } = pool(scored, task);
  const kept = answers.length > 0 ? confusionMatrix(answers, classes.length) : sumOfConfusions(evaluated.map((each) => each.evaluation));
  const pooled = kept && scoresOf(kept);
  const knownSpeakers = answers.filter(({ speakerId }) => speakerId !== '').sort((a, b) => (a.speakerId < b.speakerId ? -1 : 1));
  const measure = (name: MeasureName): Measure => {
    const values = evaluated.map(({ fold, seed, evaluation }) => ({ fold, seed, value: evaluation[name] }));
    const byFold = meansBy(values, 'fold');
    return {
      mean: mean(byFold),
      sdOverFolds: standardDeviation(byFold),
      sdOverSeeds: standardDeviation(meansBy(values, 'seed')),
      pooled: pooled?.[name] ?? null,
      interval: task === 'speaker' ? null : scoreInterval(knownSpeakers, classes.length, name),
    };
  };
  const countsByFold = (counted: 'n' | 'speakers'): number =>
    Math.round(
      meansBy(
        evaluated.map(({ fold, seed, evaluation }) => ({ fold, seed, value: evaluation[counted] })),
        'fold',
      ).reduce(sum, 0),
    );
  return {
    row,
    names,
    point,
    task,
    ua: measure('ua'),
    wa: measure('wa'),
    utterances: rows.length > 0 ? new Set(rows.map(({ utteranceId }) => utteranceId)).size : countsByFold('n'),
    speakers: rows.length > 0 ? new Set(knownSpeakers.map(({ speakerId }) => speakerId)).size : countsByFold('speakers'),
    folds: new Set(evaluated.map(({ fold }) => fold)).size,
    seeds: new Set(evaluated.map(({ seed }) => seed)).size,
    jobs: evaluated.length,
    classes,
    confusion: kept,
    recall: pooled?.recall ?? classes.map(() => null),
    calibration: calibrationOf(rows),
  };
}

type Evaluation = JobResult['evaluations'][number];

const evaluationOf = (evaluations: readonly Evaluation[], task: Task): Evaluation | undefined =>
  evaluations.find((each) => each.task === task && each.split === reportedSplit(task));

/** Merges classes by name. Folds have different speakers, so class 3 of one fold may be class 5 of another. */
function pool(jobs: readonly JobResult[], task: Task): { classes: string[]; answers: SpeakerScored[]; rows: PredictionRow[] } {
  const own = jobs.map((job) => reportedPredictions(job, task));
  const named = own.some(({ classes }) => classes.length > 0)
    ? own
    : jobs.flatMap(({ evaluations }) => evaluationOf(evaluations, task) ?? []);
  const classes = [...new Set(named.flatMap((each) => each.classes))];
  const indexOf = new Map(classes.map((name, index) => [name, index]));
  const answers = own.flatMap(({ classes: names, rows }) =>
    rows.map(({ speakerId, truth, probabilities }) => ({
      speakerId,
      truth: indexOf.get(names[truth] as string) as number,
      prediction: indexOf.get(names[mostProbable(probabilities)] as string) as number,
    })),
  );
  return { classes, answers, rows: own.flatMap(({ rows }) => rows) };
}

/** Used if no predictions were kept. Null if the classes of jobs differ, or there are too many for a matrix. */
function sumOfConfusions(evaluations: readonly Evaluation[]): number[][] | null {
  const [first] = evaluations;
  if (!first || first.confusion.length === 0 || evaluations.some(({ classes }) => classes.join() !== first.classes.join())) return null;
  return first.confusion.map((line, truth) =>
    line.map((_, prediction) => evaluations.reduce((total, { confusion }) => total + (confusion[truth]?.[prediction] ?? 0), 0)),
  );
}

const sum = (a: number, b: number): number => a + b;

function meansBy<Key extends 'fold' | 'seed'>(values: readonly (Record<Key, number> & { value: number })[], key: Key): number[] {
  return [...Map.groupBy(values, (each) => each[key]).values()].map((own) => mean(own.map(({ value }) => value)));
}
