/**
 * Plans the jobs of an experiment: rows × folds × seeds × points of the sweep. A job's id is a digest of all inputs that decide
 * its numbers. So a finished job is recognised on every machine, and a changed job gets another id.
 *
 * The plan is a pure function: the same file and shards give the same jobs in every process.
 */
import { hash } from 'node:crypto';
import { canonicalJson } from '#audio/feature-settings.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { hasAuxiliaryHeads, isSupervised, type ModelSettings } from '#paper/settings.js';
import { modelSettingsOf, type RunSettings } from '#rounds/run-settings.js';
import type { ExperimentData } from './experiment-data.js';
import { type ExperimentFile, type FileRow, networkOf } from './experiment-file.js';
import type { ExperimentJob, ExperimentRow } from './experiment-results.js';
import { foldView, speakersInOrder, type FoldView } from './fold-view.js';

/** Raise this with every code change that gives the same job other numbers. */
const protocolVersion = 2;

/** The network that a job trains for one alpha and beta. */
export interface Candidate {
  alpha: number;
  beta: number;
  model: ModelSettings;
}

/** All steps of a candidate: those of the file, plus those of a progressive network's first column. */
export const stepsOf = ({ model }: Pick<Candidate, 'model'>, steps: number): number => steps + (model.progressive?.sourceSteps ?? 0);

/** A network on one fold, or a reference, which has no candidates. */
export interface PlannedJob {
  job: ExperimentJob;
  row: ExperimentRow;
  task: FileRow['task'];
  /** The candidate that is best on dev speakers is chosen, and the result holds its alpha and beta. Empty for a reference. */
  candidates: Candidate[];
  batch: RunSettings['batch'];
}

export interface ExperimentPlan {
  rows: ExperimentRow[];
  jobs: PlannedJob[];
  /** The job whose latents and reconstructions are kept for the report's pictures. */
  showcase: string | null;
  /** The points of the sweep that the corpora allow; [null] without a sweep. */
  points: (number | null)[];
  findings: string[];
  /** @returns the training view and test set of a job, built on demand */
  viewOf(job: Pick<ExperimentJob, 'fold' | 'point'>): FoldView;
}

/** @throws PipelineError CONFIG_INVALID, SETTINGS_INVALID */
export function planExperiment(file: ExperimentFile, data: ExperimentData, { search }: { search: boolean }): ExperimentPlan {
  refuseUnknownSource(file, data);
  const { points, findings } = pointsOf(file, data);
  const views = new LastView(file, data);
  const rows = [...referenceRows(file), ...file.rows.map((row) => ({ row, printed: printedRow(row, file) }))];
  const jobs: PlannedJob[] = [];
  // Jobs run seed by seed and fold by fold, so that the rows of a partial experiment can be compared. All rows share a view.
  for (const seed of file.seeds)
    for (let fold = 0; fold < file.folds.count; fold++)
      for (const point of points)
        for (const { row, printed } of rows) {
          const isReference = row.system === null;
          if (row.quotedOnly || (isReference && !isReferencePlace(file, { seed, point, points }))) continue;
          const candidates = isReference ? [] : candidatesOf(row, { file, data, seed, search });
          const planned = { row: printed, task: row.task, candidates, batch: row.batch ?? batchOf(row, file) };
          const jobId = jobIdOf(file, { ...planned, seed, digest: views.digestOf({ fold, point }) });
          const { alpha = 0, beta = 0 } = candidates[0] ?? {};
          jobs.push({ ...planned, job: { jobId, rowId: printed.id, point, fold, seed, alpha, beta } });
        }
  const showcase = (
    jobs.find(({ row }) => row.system === 'aae' || row.system === 'ae') ?? jobs.find(({ candidates }) => candidates.length > 0)
  )?.job;
  return {
    rows: rows.map(({ printed }) => printed),
    jobs,
    showcase: showcase?.jobId ?? null,
    points,
    findings,
    viewOf: (job) => views.of(job),
  };
}

/** A view is as large as the corpora, so only the latest is kept. The digests of all are kept. */
class LastView {
  private last: { name: string; view: FoldView } | null = null;
  private readonly digests = new Map<string, string>();

  constructor(
    private readonly file: ExperimentFile,
    private readonly data: ExperimentData,
  ) {}

  of({ fold, point }: Pick<ExperimentJob, 'fold' | 'point'>): FoldView {
    const name = `${fold}/${point}`;
    if (this.last?.name !== name) this.last = { name, view: foldView(this.file, this.data, { fold, point }) };
    return this.last.view;
  }

  digestOf(place: Pick<ExperimentJob, 'fold' | 'point'>): string {
    const name = `${place.fold}/${place.point}`;
    const digest = this.digests.get(name) ?? this.of(place).digest;
    this.digests.set(name, digest);
    return digest;
  }
}

/** Refuses a progressive network whose first column has no label to learn. Such a network would never reach emotion. */
function refuseUnknownSource({ rows }: ExperimentFile, { primary, auxiliary }: ExperimentData): void {
  const row = rows.find(({ system, quotedOnly, auxiliary: [source] }) => system === 'progressive' && !quotedOnly && source === 'gender');
  if (row && ![primary, auxiliary].some((each) => each.some(({ labels }) => labels.gender !== undefined)))
    throw new PipelineError(
      'CONFIG_INVALID',
      `rows.${row.id}: no utterance has a gender, and system progressive learns gender first: add gender to the manifest, or give auxiliary [speaker]`,
    );
}

/** References have no seed and use no auxiliary speakers, so they run once, at the sweep's first point. */
function isReferencePlace(
  { seeds, sweep }: ExperimentFile,
  { seed, point, points }: { seed: number; point: number | null; points: (number | null)[] },
): boolean {
  return seed === seeds[0] && (sweep?.over === 'label-share' || point === points[0]);
}

/** Turns a row of the file into a row of the report. */
type PlannedRow = Omit<FileRow, 'system'> & { system: FileRow['system'] | null };

function printedRow(row: FileRow, file: ExperimentFile): ExperimentRow {
  const { id, label = id, target, task, auxiliary, system, quotedOnly } = row;
  const where = file.paper ?? 'the paper';
  const quoted = row.quoted.map((each) => ({
    ...each,
    task: each.task ?? (task === 'emotion' ? target : task),
    where: each.where ?? where,
  }));
  return { id, label, system: quotedOnly ? 'quoted' : system, target, auxiliary: [...auxiliary], quoted, isQuotedOnly: quotedOnly };
}

const referenceLabels = {
  majority: 'Majority class',
  functionals: 'Logistic regression on functionals',
};

/** One row of each reference for every target that is run. */
function referenceRows(file: ExperimentFile): { row: PlannedRow; printed: ExperimentRow }[] {
  const run = file.rows.filter(({ quotedOnly, task }) => !quotedOnly && task === 'emotion');
  const targets = [...new Set(run.map(({ target }) => target))];
  return targets.flatMap((target) =>
    file.references.map((reference) => {
      const id = targets.length === 1 ? reference : `${reference}-${target}`;
      const row: PlannedRow = { id, target, task: 'emotion', system: null, auxiliary: [], model: {}, quoted: [], quotedOnly: false };
      const label = referenceLabels[reference];
      return { row, printed: { id, label, system: reference, target, auxiliary: [], quoted: [], isQuotedOnly: false } };
    }),
  );
}

function pointsOf({ sweep }: ExperimentFile, { auxiliary }: ExperimentData): { points: (number | null)[]; findings: string[] } {
  if (!sweep) return { points: [null], findings: [] };
  if (sweep.over === 'label-share') return { points: sweep.points, findings: [] };
  const speakers = speakersInOrder(auxiliary).length;
  const points = sweep.points.filter((point) => point <= speakers);
  const beyond = sweep.points.filter((point) => point > speakers);
  if (points.length === 0)
    throw new PipelineError(
      'CONFIG_INVALID',
      `sweep.points: the auxiliary corpora have ${speakers} speakers, fewer than any point: give smaller numbers, or add shards`,
    );
  const findings = beyond.length > 0 ? [`sweep: ${beyond.join(', ')} left out: the auxiliary corpora have ${speakers} speakers`] : [];
  return { points, findings };
}

function candidatesOf(
  row: PlannedRow,
  { file, data, seed, search }: { file: ExperimentFile; data: ExperimentData; seed: number; search: boolean },
): Candidate[] {
  const { system, task } = row;
  const given = { ...file.model, ...row.model };
  const settingsWith = (weights: { alpha?: number; beta?: number }): ModelSettings =>
    modelSettingsOf(
      {
        seed,
        model: {
          ...(system === 'cnn-lstm' && { classBalance: 'sampling' }),
          ...given,
          ...(system === 'progressive' && { progressive: { sourceSteps: Math.ceil(file.steps / 2), ...(given['progressive'] as object) } }),
          ...(row.alpha !== undefined && { alpha: row.alpha }),
          ...(task === 'emotion' ? row.beta !== undefined && { beta: row.beta } : { beta: 0 }),
          ...weights,
          ...networkOf(row),
        },
      },
      data.tileShape,
    );
  const own = settingsWith({});
  // A supervised system has no alpha and a single task no beta. Rows of auxiliary tasks are not chosen on dev speakers.
  const alphas = search && task === 'emotion' && !isSupervised(own) ? file.search.alpha : [own.alpha];
  const betas = search && task === 'emotion' && hasAuxiliaryHeads(own) && !own.progressive ? (file.search.beta ?? [own.beta]) : [own.beta];
  return alphas.flatMap((alpha) => betas.map((beta) => ({ alpha, beta, model: settingsWith({ alpha, beta }) })));
}

/** A single-task CNN or CNN-LSTM cannot use tiles without an emotion label, so its batches hold none. */
function batchOf({ system, task, auxiliary }: PlannedRow, { batch }: ExperimentFile): RunSettings['batch'] {
  return (system === 'cnn' || system === 'cnn-lstm') && task === 'emotion' && auxiliary.length === 0 ? { ...batch, unlabelled: 0 } : batch;
}

function jobIdOf(file: ExperimentFile, job: Omit<PlannedJob, 'job'> & { seed: number; digest: string }): string {
  const { steps, checkEvery, patience, schedule, warmupSteps, statisticsTiles } = file;
  const { row, task, candidates, batch, seed, digest } = job;
  const network = { candidates, batch, steps, checkEvery, patience, schedule, warmupSteps, statisticsTiles };
  const what = {
    protocolVersion,
    row: row.id,
    system: row.system,
    target: row.target,
    task,
    seed,
    digest,
    // An auxiliary task alone was once learnt by eq. 2. This field gives such old results another id.
    ...(task !== 'emotion' && { objective: 'eq. 1' }),
    ...(candidates.length > 0 && network),
  };
  return hash('sha256', canonicalJson(what)).slice(0, 24);
}
