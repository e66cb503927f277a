/**
 * The jobs of an experiment: rows × folds × seeds × points of the sweep. A job's id is a digest of all that decides its
 * numbers, so that a job that is done is done wherever and whenever it is asked for again, and another one is another.
 *
 * Pure but for hashing: the same file and shards give the same jobs in every process.
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

/** Raised with every change that makes the same job come to other numbers. */
const protocolVersion = 2;

/** What a job trains, for one alpha and beta. */
export interface Candidate {
  alpha: number;
  beta: number;
  model: ModelSettings;
}

/** Those of the file, and before them what a first column takes. */
export const stepsOf = ({ model }: Pick<Candidate, 'model'>, steps: number): number => steps + (model.progressive?.sourceSteps ?? 0);

/** A network on a fold, or one of the references, which has no candidates. */
export interface PlannedJob {
  job: ExperimentJob;
  row: ExperimentRow;
  task: FileRow['task'];
  /** Among several the best on dev speakers is chosen, whose alpha and beta the job's result has. None: a reference. */
  candidates: Candidate[];
  batch: RunSettings['batch'];
}

export interface ExperimentPlan {
  rows: ExperimentRow[];
  jobs: PlannedJob[];
  /** The job whose latents and reconstructions are kept for looking at. */
  showcase: string | null;
  /** Of the sweep, those that the corpora have; [null] without one. */
  points: (number | null)[];
  findings: string[];
  /** @returns what a job learns from: made when asked for */
  viewOf(job: Pick<ExperimentJob, 'fold' | 'point'>): FoldView;
}

/** @throws PipelineError CONFIG_INVALID, SETTINGS_INVALID */
export function planExperiment(file: ExperimentFile, data: ExperimentData, { search }: { search: boolean }): ExperimentPlan {
  refuseUnknownSource(file, data);
  const { points, findings } = pointsOf(file, data);
  const views = new LastView(file, data);
  const rows = [...referenceRows(file), ...file.rows.map((row) => ({ row, printed: printedRow(row, file) }))];
  const jobs: PlannedJob[] = [];
  // Seed by seed and fold by fold, so that what is done so far can be compared; a view serves all rows.
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

/** Views are as large as the corpora: one is kept, and of the others the digest. */
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

/** A first column without a label to learn would never hand over to emotion. */
function refuseUnknownSource({ rows }: ExperimentFile, { primary, auxiliary }: ExperimentData): void {
  const row = rows.find(({ system, quotedOnly, auxiliary: [source] }) => system === 'progressive' && !quotedOnly && source === 'gender');
  if (row && ![primary, auxiliary].some((each) => each.some(({ labels }) => labels.gender !== undefined)))
    throw new PipelineError('CONFIG_INVALID', `rows.${row.id}: no utterance says a gender, and the first column would learn it`);
}

/** References have no seed, and hear no auxiliary speakers: they are run once, at the sweep's first point. */
function isReferencePlace(
  { seeds, sweep }: ExperimentFile,
  { seed, point, points }: { seed: number; point: number | null; points: (number | null)[] },
): boolean {
  return seed === seeds[0] && (sweep?.over === 'label-share' || point === points[0]);
}

/** A row of the file; a reference has no network. */
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

/** One of each for every target that is run. */
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
      `sweep.points: the auxiliary corpora have ${speakers} speakers: give smaller numbers, or more shards`,
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
  // A supervised system has no alpha, one task at a time no beta, and dev speakers tell nothing of a row about speakers.
  const alphas = search && task === 'emotion' && !isSupervised(own) ? file.search.alpha : [own.alpha];
  const betas = search && task === 'emotion' && hasAuxiliaryHeads(own) && !own.progressive ? (file.search.beta ?? [own.beta]) : [own.beta];
  return alphas.flatMap((alpha) => betas.map((beta) => ({ alpha, beta, model: settingsWith({ alpha, beta }) })));
}

/** A single-task CNN, or CNN-LSTM, makes nothing of tiles without emotion. */
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
    // Until this was here, one auxiliary task alone was learnt by eq. 2: its results are of another job.
    ...(task !== 'emotion' && { objective: 'eq. 1' }),
    ...(candidates.length > 0 && network),
  };
  return hash('sha256', canonicalJson(what)).slice(0, 24);
}
