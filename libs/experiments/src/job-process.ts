/** A worker process that runs jobs one at a time. It plans the experiment by itself, and ends when its parent process ends. */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { experimentPrefix } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { chooseBackend } from '#tensor/backend.js';
import { FolderStore } from '#storage/folder-store.js';
import { ObjectStore, type Objects } from '#storage/object-store.js';
import { PrefixedStore } from '#storage/prefixed-store.js';
import { retrying } from '#streaming/retry.js';
import { TileStore } from '#rounds/tile-store.js';
import { workFolderOf } from './experiment-folder.js';
import { writeJobResult } from './job-results.js';
import { loadExperiment, type LoadedExperiment, loadPublished, tilesOfFolder } from './load-experiment.js';
import { measureStep } from './measure-step.js';
import { clearWork, runJob } from './run-job.js';
import type { FromWorker, ToWorker, WorkerSetup, WorkerSource } from './worker-messages.js';

interface Work extends LoadedExperiment {
  /** The store of results. */
  store: Objects;
  tileStore: TileStore;
  workFolderOf: (jobId: string) => string;
}

let work: (Work & { machine: string }) | undefined;

function tell(message: FromWorker): void {
  process.send?.(message);
}

async function startBackend(wanted: WorkerSetup['backend']): Promise<string> {
  const { name } = await chooseBackend({ ...wanted, log: () => undefined });
  const cores = cpus();
  return `${cores[0]?.model.trim() ?? 'unknown'}, ${cores.length} cores, ${name} backend`;
}

async function setUp({ source, backend }: WorkerSetup): Promise<void> {
  const machine = await startBackend(backend);
  work = { ...(source.kind === 'folder' ? workInFolder(source) : await workInBucket(source)), machine };
  tell({ type: 'ready' });
}

function workInFolder({ file, shards, out, search }: Extract<WorkerSource, { kind: 'folder' }>): Work {
  const store = new FolderStore(out);
  return {
    ...loadExperiment(file, tilesOfFolder(shards), { search }),
    store,
    tileStore: new TileStore(store, null),
    workFolderOf: (jobId) => workFolderOf(out, jobId),
  };
}

async function workInBucket({ connection, shardCache, experiment, workFolder }: Extract<WorkerSource, { kind: 'bucket' }>): Promise<Work> {
  const bucket = new ObjectStore(connection, { retry: retrying });
  const store = new PrefixedStore(bucket, experimentPrefix(experiment));
  return {
    ...(await loadPublished(store)),
    store,
    tileStore: new TileStore(bucket, { ...shardCache, connection }),
    workFolderOf: (jobId) => join(workFolder, jobId),
  };
}

async function doJob(jobId: string): Promise<void> {
  if (!work) throw new Error('The worker got a job before its set-up message.');
  const { file, plan, store, tileStore, machine } = work;
  const planned = plan.jobs.find(({ job }) => job.jobId === jobId);
  if (!planned)
    throw new PipelineError(
      'CONFIG_INVALID',
      `The shards changed while the experiment ran: the plan no longer has job ${jobId}. Start the experiment again`,
    );
  const workFolder = work.workFolderOf(jobId);
  const { result, showcase } = await runJob(planned, {
    file,
    view: plan.viewOf(planned.job),
    tileStore,
    workFolder,
    machine,
    isShowcase: jobId === plan.showcase,
    onProgress: (progress) => tell({ type: 'progress', jobId, progress }),
  });
  await writeJobResult(store, result, showcase);
  clearWork(workFolder);
  const { job, evaluations, wallSec } = result;
  tell({ type: 'done', jobId, result: { job, evaluations, wallSec } });
}

async function handle(message: ToWorker): Promise<void> {
  switch (message.type) {
    case 'setup':
      return setUp(message.setup);
    case 'job':
      return doJob(message.jobId);
    case 'time': {
      const machine = await startBackend(message.backend);
      const stepSec: number[] = [];
      for (const each of message.models) stepSec.push(await measureStep(each));
      return tell({ type: 'timed', stepSec, machine });
    }
  }
}

process.on('message', (message: ToWorker) => {
  handle(message).catch((error: unknown) => {
    const { message: text, stack } = error instanceof Error ? error : new Error(String(error));
    const known = error instanceof PipelineError;
    tell({
      type: 'failed',
      jobId: message.type === 'job' ? message.jobId : null,
      code: known ? error.code : null,
      message: known ? text : (stack ?? text),
    });
  });
});
process.once('disconnect', () => process.exit(0));
// A Ctrl-C in a terminal reaches the parent and this process. Only the parent acts on it.
process.on('SIGINT', () => undefined);
