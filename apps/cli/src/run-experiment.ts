/**
 * Runs the jobs of an experiment, in processes of this machine or by trainers that share them over Kafka. The results lie in a
 * folder, or under a prefix of the bucket. Finished jobs are never run again.
 */
import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { experimentJobs } from '#contracts/experiment-jobs.js';
import { experimentPrefix } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { hasPlan, recordedPlan, writePlan } from '#experiments/experiment-folder.js';
import { clearJobFailure, readJobFailure, readJobResult } from '#experiments/job-results.js';
import { type LoadedExperiment, publishExperiment, type TileSource } from '#experiments/load-experiment.js';
import type { PlannedJob } from '#experiments/plan-experiment.js';
import { type FailedJob, runLocally } from '#experiments/run-local.js';
import type { WorkerSetup } from '#experiments/worker-messages.js';
import { FolderStore } from '#storage/folder-store.js';
import type { Objects } from '#storage/object-store.js';
import { PrefixedStore } from '#storage/prefixed-store.js';
import { experimentHoldId, experimentHoldMs, holdShards, releaseShards } from '#compaction/shard-holds.js';
import { type Connections, withPublisher } from './connect.js';
import { ExperimentDisplay } from './experiment-display.js';
import { counted } from './human-units.js';
import { print, printLine } from './undertone-command.js';

export interface ExperimentRun {
  loaded: LoadedExperiment;
  search: boolean;
  resume: boolean;
  stop: AbortSignal;
}

const pollMs = 2_000;

/** @returns the store with the results @throws PipelineError CONFIG_INVALID if the folder holds an experiment and --resume is not given */
export async function runHere(
  run: ExperimentRun,
  {
    out,
    setup,
    parallel,
    environment,
  }: { out: string; setup: WorkerSetup; parallel: number; environment: Record<string, string | undefined> },
): Promise<Objects> {
  const store = new FolderStore(out);
  const remedy = `Add --resume to continue the experiment in ${out}, or name another folder with --out.`;
  const { display, jobs } = await begin(run, store, { remedy, parallel });
  const failed = await runLocally({
    setup,
    jobs,
    parallel,
    environment,
    onProgress: (jobId, progress) => display.progress(jobId, progress),
    onDone: (result) => display.finished(result),
    stop: run.stop,
  }).finally(() => display.clear());
  end(display, failed, run.stop.aborted ? 'Stopped. Add --resume to continue.' : null);
  return store;
}

/** @param heldSince a time before `source`, the trainers' tiles, was read @returns the store with the results */
export async function runOnTrainers(
  run: ExperimentRun,
  { connections, source, heldSince: since }: { connections: Connections; source: TileSource; heldSince: Date },
): Promise<Objects> {
  const { loaded, search, stop } = run;
  const experiment = publishedName(loaded);
  const store = new PrefixedStore(connections.store, experimentPrefix(experiment));
  const { display, jobs } = await begin(run, store, { remedy: 'Add --resume to continue it.', parallel: 1 });
  const hold = { id: experimentHoldId(experiment), reader: `experiment ${experiment}`, since };
  if (jobs.length > 0) await holdShards(connections.store, hold, experimentHoldMs);
  await publishExperiment(store, { file: loaded.file, search, source });
  const plannedAt = new Date().toISOString();
  await withPublisher(connections, async (publisher) => {
    for (const { job } of jobs) await clearJobFailure(store, job.jobId);
    const facts = jobs.map(({ job: { jobId, rowId, point, fold, seed } }) => ({ experiment, jobId, rowId, point, fold, seed, plannedAt }));
    await publisher.publish(experimentJobs, ...facts);
  });
  print(`${counted(jobs.length, 'job')} for trainers with EXPERIMENT_WORKER=1; results in experiments/${experiment}/ of the bucket`);
  const waiting = new Map(jobs.map((each) => [each.job.jobId, each]));
  const failed: FailedJob[] = [];
  while (waiting.size > 0 && !stop.aborted) {
    for (const jobId of [...waiting.keys()]) {
      const result = await readJobResult(store, jobId);
      const why = result ? null : await readJobFailure(store, jobId);
      if (result) display.finished(result);
      if (why !== null) failed.push({ jobId, why });
      if (result || why !== null) waiting.delete(jobId);
    }
    if (waiting.size > 0) await sleep(pollMs, undefined, { signal: stop }).catch(() => undefined);
  }
  if (waiting.size === 0) await releaseShards(connections.store, hold.id);
  display.clear();
  end(display, failed, stop.aborted ? 'The trainers continue. Add --resume to watch them again.' : null);
  return store;
}

/** The name holds a digest of the jobs, so that trainers do not confuse two experiments of the same name. */
function publishedName({ file, plan }: LoadedExperiment): string {
  return `${file.name}-${hash('sha256', plan.jobs.map(({ job }) => job.jobId).join()).slice(0, 8)}`;
}

async function begin(
  { loaded: { file, data, plan }, search, resume }: ExperimentRun,
  store: Objects,
  { remedy, parallel }: { remedy: string; parallel: number },
): Promise<{ display: ExperimentDisplay; jobs: PlannedJob[] }> {
  if ((await hasPlan(store)) && !resume) throw new PipelineError('CONFIG_INVALID', `The experiment was begun already. ${remedy}`);
  await writePlan(store, recordedPlan(file, data, plan));
  const earlier = (await Promise.all(plan.jobs.map(({ job }) => readJobResult(store, job.jobId)))).filter((result) => result !== null);
  if (earlier.length > 0) print(`${counted(earlier.length, 'job')} of ${plan.jobs.length} finished earlier`);
  const done = new Set(earlier.map(({ job }) => job.jobId));
  const display = new ExperimentDisplay(process.stdout, plan.rows, plan.jobs, { steps: file.steps, parallel, earlier });
  return { display, jobs: plan.jobs.filter(({ job }) => !done.has(job.jobId)) };
}

function end(display: ExperimentDisplay, failed: readonly FailedJob[], stopped: string | null): void {
  print(display.table().join('\n'));
  for (const { jobId, why } of failed) printLine(`✗ job ${jobId}: ${why}`);
  if (stopped !== null) printLine(stopped);
}
