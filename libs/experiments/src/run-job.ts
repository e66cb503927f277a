/**
 * Runs one job: trains its candidates on train speakers, stops them early by dev speakers (paper, Section V), chooses the best
 * on dev, and only then scores the test fold, once.
 *
 * Delivery: a job that was killed resumes from its newest checkpoint in `work`. It reaches the same numbers if the backend is
 * deterministic (with one thread it is). Its result is whole or absent.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { runLeaseKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { loadModel } from '#model-files/checkpoint.js';
import type { AnyModel } from '#paper/model.js';
import type { TaskPredictions } from '#rounds/held-out-predictions.js';
import { predictHeldOut } from '#rounds/held-out-predictions.js';
import { codeVersion } from '#service/package-root.js';
import { FolderStore } from '#storage/folder-store.js';
import { retrying } from '#streaming/retry.js';
import { type Checkpoint, readWeights } from '#rounds/checkpoint-store.js';
import { evaluateRows } from '#evaluation/evaluate-predictions.js';
import { headLabels } from '#rounds/head-labels.js';
import { hasEnded, processHolder } from '#storage/lease-holder.js';
import { keepRenewed, Lease } from '#storage/lease.js';
import { noEvents, type RunSettings } from '#rounds/run-settings.js';
import type { TileStore } from '#rounds/tile-store.js';
import { TrainingRun } from '#rounds/training-run.js';
import type { ExperimentFile } from './experiment-file.js';
import type { JobResult, LearningCurvePoint } from './experiment-results.js';
import type { FoldView } from './fold-view.js';
import type { Showcase } from './job-results.js';
import { LearningCurve } from './learning-curve.js';
import { type Candidate, type PlannedJob, stepsOf } from './plan-experiment.js';
import { predictReference } from './reference-systems.js';
import { showcaseOf } from './showcase.js';

export interface JobSurroundings {
  file: ExperimentFile;
  view: FoldView;
  tileStore: TileStore;
  /** A folder for this job's checkpoints. It is deleted once the result is stored. */
  workFolder: string;
  /** A description of the machine and backend, for the report. */
  machine: string;
  isShowcase: boolean;
  onProgress: (progress: JobProgress) => void;
}

export interface JobProgress {
  /** Steps of all candidates together. */
  step: number;
  steps: number;
  stepMs: number;
  devUa: number | null;
}

interface TrainedCandidate {
  candidate: Candidate;
  checkpoint: Checkpoint;
  curve: LearningCurvePoint[];
}

/** @throws PipelineError MODEL_DIVERGED, CONFIG_INVALID, SETTINGS_INVALID */
export async function runJob(
  planned: PlannedJob,
  surroundings: JobSurroundings,
): Promise<{ result: JobResult; showcase: Showcase | null }> {
  const startedAt = performance.now();
  const { job, candidates } = planned;
  const { view, tileStore, workFolder, machine, isShowcase } = surroundings;
  const prepareAll = async (): Promise<void> => {
    const gone = await tileStore.prepare([...view.training.utterances, ...view.test]);
    if (gone.size > 0)
      throw new PipelineError('CONFIG_INVALID', `${gone.size} shards changed since the experiment read them: start the experiment again`);
  };
  await prepareAll();
  const provenance = { machine, codeVersion, wallSec: 0 };
  const timed = (result: JobResult): JobResult => ({ ...result, wallSec: (performance.now() - startedAt) / 1000 });
  if (candidates.length === 0) {
    const predictions = await predictReference(planned, { view, tileStore, model: surroundings.file.model });
    return {
      result: timed({ job, ...scored(planned, surroundings, { predictions, step: 0 }), curve: [], bestStep: 0, ...provenance }),
      showcase: null,
    };
  }
  const { candidate, checkpoint, curve } = await bestOf(planned, surroundings);
  // Training kept only the shards of its own view, so all shards are fetched again for the test.
  await prepareAll();
  const model = loadModel(checkpoint.model, await readWeights(new FolderStore(workFolder), checkpoint));
  try {
    const predictions = await testPredictions(model, checkpoint, surroundings);
    const { alpha, beta } = candidate;
    const result = { job: { ...job, alpha, beta }, curve, bestStep: checkpoint.weightsStep, ...provenance };
    const shown = isShowcase ? await showcaseOf(model, view.test, tileStore) : null;
    return {
      result: timed({ ...result, ...scored(planned, surroundings, { predictions, step: checkpoint.weightsStep }) }),
      showcase: shown,
    };
  } finally {
    model.dispose();
  }
}

/** Deletes the checkpoints of a job whose result is stored. */
export const clearWork = (workFolder: string): void => rmSync(workFolder, { recursive: true, force: true });

/** Trains all candidates. The first wins a tie, so the smallest alpha does. */
async function bestOf(planned: PlannedJob, surroundings: JobSurroundings): Promise<TrainedCandidate> {
  let best: TrainedCandidate | null = null;
  for (const [index, candidate] of planned.candidates.entries()) {
    const trained = await trainCandidate(planned, { candidate, index, surroundings });
    if (!best || (trained.checkpoint.best?.ua ?? 0) > (best.checkpoint.best?.ua ?? 0)) best = trained;
  }
  return best as TrainedCandidate;
}

async function trainCandidate(
  { task, candidates, batch, job }: PlannedJob,
  { candidate, index, surroundings }: { candidate: Candidate; index: number; surroundings: JobSurroundings },
): Promise<TrainedCandidate> {
  const { file, view, tileStore, workFolder, onProgress } = surroundings;
  const runId = `${job.jobId}-${index}`;
  const steps = stepsOf(candidate, file.steps);
  const store = new FolderStore(workFolder);
  const settings: RunSettings = {
    runId,
    model: { ...candidate.model },
    batch,
    roundSteps: steps,
    roundMaxSec: null,
    replayShare: 0,
    // Without patience the model of the best dev check still counts.
    patience: task === 'emotion' ? (file.patience ?? steps) : 0,
    fewestDevSpeakers: 1,
    rate: { schedule: file.schedule, warmupSteps: file.warmupSteps },
    reportEvery: Math.max(1, Math.min(file.checkEvery, Math.ceil(file.steps / 100))),
    checkpointEvery: file.checkEvery,
    statisticsTiles: file.statisticsTiles,
    seed: job.seed,
    codeVersion,
  };
  const lease = await Lease.acquire(store, runLeaseKey(runId), processHolder(), { onWait: () => undefined, isGone: hasEnded });
  // If the lease was lost, the next checkpoint fails.
  const endRenewal = keepRenewed(lease);
  let [newest, devUa]: [Checkpoint | null, number | null] = [null, null];
  let curve: LearningCurve | undefined;
  let run: TrainingRun | undefined;
  try {
    run = new TrainingRun(settings, store, tileStore, lease.epoch, {
      ...noEvents,
      stepTrained: ({ step, losses, stepMs }) => {
        curve?.stepTrained(step, losses);
        onProgress({ step: index * steps + step, steps: candidates.length * steps, stepMs, devUa });
      },
      checked: ({ step, ua }) => {
        devUa = ua;
        curve?.checked(step, ua);
      },
      saved: (checkpoint) => (newest = checkpoint),
    });
    newest = await run.restore();
    curve = LearningCurve.open(join(workFolder, `${runId}.curve.jsonl`), newest?.step ?? 0);
    if (!newest?.complete) await run.runRound(view.training);
  } finally {
    run?.dispose();
    endRenewal();
    await retrying(() => lease.release());
  }
  if (!newest?.complete)
    throw new PipelineError('CONFIG_INVALID', `Fold ${job.fold + 1} has no training utterances: lower folds.count, or add utterances`);
  return { candidate, checkpoint: newest, curve: curve.points };
}

/** Scores the test fold, and the speaker task on withheld utterances of training speakers. */
async function testPredictions(
  model: AnyModel,
  { speakers, midpoints }: Checkpoint,
  { view, tileStore }: JobSurroundings,
): Promise<TaskPredictions[]> {
  const labels = headLabels(model.settings, { midpoints, speakers });
  const withheld = view.training.utterances.filter((utterance) => utterance.withheld);
  return predictHeldOut(model, [...view.test, ...withheld], tileStore, labels);
}

/** Leaves out tasks that the row does not learn, and emotion if its loss has weight zero. */
function scored(
  { job, row, task }: PlannedJob,
  { view, file: { name: experiment } }: JobSurroundings,
  { predictions, step }: { predictions: TaskPredictions[]; step: number },
): Pick<JobResult, 'evaluations' | 'predictions'> {
  const kept = predictions.filter((each) => (task === 'emotion' ? true : each.task === task));
  const fact = { runId: job.jobId, step, viewDigest: view.digest };
  return {
    predictions: kept.map(({ task, classes, rows }) => ({ task, classes, rows })),
    evaluations: kept.flatMap(({ task, classes, rows }) =>
      evaluateRows({ ...fact, task, classes }, rows).map((evaluation) => ({ ...evaluation, experiment })),
    ),
  };
}
