/**
 * One job: its candidates are trained on train speakers and stopped by dev speakers (paper, Section V), the best on dev is
 * chosen, and only then the test fold is looked at, once.
 *
 * Delivery: killed at any point, the job goes on from its newest checkpoint in `work`, with the same numbers where the backend gives
 * the same twice (one thread does); its result is whole or absent.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { runLeaseKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { loadModel } from '#model-files/checkpoint.js';
import type { Model } from '#paper/model.js';
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
  /** A folder of this job's own, for checkpoints: gone when the result is kept. */
  workFolder: string;
  /** What computes, for people. */
  machine: string;
  isShowcase: boolean;
  onProgress: (progress: JobProgress) => void;
}

export interface JobProgress {
  /** Of all candidates together. */
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
export async function runJob(planned: PlannedJob, around: JobSurroundings): Promise<{ result: JobResult; showcase: Showcase | null }> {
  const startedAt = performance.now();
  const { job, candidates } = planned;
  const { view, tileStore, workFolder, machine, isShowcase } = around;
  const prepareAll = async (): Promise<void> => {
    const gone = await tileStore.prepare([...view.training.utterances, ...view.test]);
    if (gone.size > 0) throw new PipelineError('CONFIG_INVALID', `${gone.size} shards changed since they were read: begin again`);
  };
  await prepareAll();
  const said = { machine, codeVersion, wallSec: 0 };
  const timed = (result: JobResult): JobResult => ({ ...result, wallSec: (performance.now() - startedAt) / 1000 });
  if (candidates.length === 0) {
    const predictions = await predictReference(planned, view, tileStore);
    return {
      result: timed({ job, ...scored(planned, around, { predictions, step: 0 }), curve: [], bestStep: 0, ...said }),
      showcase: null,
    };
  }
  const { candidate, checkpoint, curve } = await bestOf(planned, around);
  // A round keeps the shards of its view alone.
  await prepareAll();
  const model = loadModel(checkpoint.model, await readWeights(new FolderStore(workFolder), checkpoint));
  try {
    const predictions = await testPredictions(model, checkpoint, around);
    const { alpha, beta } = candidate;
    const result = { job: { ...job, alpha, beta }, curve, bestStep: checkpoint.weightsStep, ...said };
    const shown = isShowcase ? await showcaseOf(model, view.test, tileStore) : null;
    return { result: timed({ ...result, ...scored(planned, around, { predictions, step: checkpoint.weightsStep }) }), showcase: shown };
  } finally {
    model.dispose();
  }
}

/** Frees the checkpoints of a job whose result is kept. */
export const clearWork = (workFolder: string): void => rmSync(workFolder, { recursive: true, force: true });

/** Of equals the first: the smallest alpha. */
async function bestOf(planned: PlannedJob, around: JobSurroundings): Promise<TrainedCandidate> {
  let best: TrainedCandidate | null = null;
  for (const [index, candidate] of planned.candidates.entries()) {
    const trained = await trainCandidate(planned, { candidate, index, around });
    if (!best || (trained.checkpoint.best?.ua ?? 0) > (best.checkpoint.best?.ua ?? 0)) best = trained;
  }
  return best as TrainedCandidate;
}

async function trainCandidate(
  { task, candidates, batch, job }: PlannedJob,
  { candidate, index, around }: { candidate: Candidate; index: number; around: JobSurroundings },
): Promise<TrainedCandidate> {
  const { file, view, tileStore, workFolder, onProgress } = around;
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
    // Without an end of patience the best look still counts.
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
  // That it was lost, the next checkpoint finds out.
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
  if (!newest?.complete) throw new PipelineError('CONFIG_INVALID', `Fold ${job.fold + 1} has nothing to learn from`);
  return { candidate, checkpoint: newest, curve: curve.points };
}

/** Of the test fold, and of the speaker task on withheld utterances of training speakers. */
async function testPredictions(
  model: Model,
  { speakers, midpoints }: Checkpoint,
  { view, tileStore }: JobSurroundings,
): Promise<TaskPredictions[]> {
  const labels = headLabels(model.settings, { midpoints, speakers });
  const withheld = view.training.utterances.filter((utterance) => utterance.withheld);
  return predictHeldOut(model, [...view.test, ...withheld], tileStore, labels);
}

/** Tasks that the row does not learn are left out, and emotion where it counts nothing. */
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
