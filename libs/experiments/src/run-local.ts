/**
 * Runs jobs in child processes, several at a time. Each child has its own threads, so other jobs do not change a job's numbers.
 *
 * Delivery: a job counts once its result is whole. If a child dies, the other jobs continue and its job restarts once, from its
 * checkpoint. A job that fails is reported, and the others continue.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { JobWorker } from './job-worker.js';
import type { PlannedJob } from './plan-experiment.js';
import type { JobProgress } from './run-job.js';
import type { FromWorker, ToWorker, WorkerSetup } from './worker-messages.js';

export interface LocalRun {
  setup: WorkerSetup;
  /** The unfinished jobs. */
  jobs: readonly PlannedJob[];
  /** The number of jobs that run at the same time. */
  parallel: number;
  environment: Record<string, string | undefined>;
  onProgress: (jobId: string, progress: JobProgress) => void;
  onDone: (result: Extract<FromWorker, { type: 'done' }>['result']) => void;
  /** Aborting ends the run. The next run resumes unfinished jobs from their checkpoints. */
  stop: AbortSignal;
}

export interface FailedJob {
  jobId: string;
  why: string;
}

/** A job is started at most this often. */
const mostTries = 2;

/** The environment of a child process, with its number of threads. */
export function threadsOf(threads: number): Record<string, string> {
  return {
    TF_NUM_INTRAOP_THREADS: String(threads),
    TF_NUM_INTEROP_THREADS: '1',
    OMP_NUM_THREADS: String(threads),
    TF_CPP_MIN_LOG_LEVEL: '2',
  };
}

/** @returns the failed jobs @throws PipelineError if no job could start */
export async function runLocally({ setup, jobs, parallel, environment, onProgress, onDone, stop }: LocalRun): Promise<FailedJob[]> {
  const waiting = jobs.map(({ job }) => ({ jobId: job.jobId, tries: 0 }));
  const failed: FailedJob[] = [];
  const work = async (): Promise<void> => {
    let worker: JobWorker | null = null;
    try {
      for (let next = waiting.shift(); next && !stop.aborted; next = waiting.shift()) {
        next.tries++;
        worker ??= await JobWorker.start(setup, { environment, stop });
        const answer = await worker.ask({ type: 'job', jobId: next.jobId }, (message) => {
          if (message.type === 'progress') onProgress(message.jobId, message.progress);
        });
        if (stop.aborted) return;
        if (answer.type === 'done') onDone(answer.result);
        else if (answer.type === 'ended') {
          worker = null;
          if (next.tries < mostTries) waiting.push(next);
          else failed.push({ jobId: next.jobId, why: answer.how });
        } else if (answer.type === 'failed') failed.push({ jobId: next.jobId, why: `${answer.code ?? 'unknown'}: ${answer.message}` });
      }
    } finally {
      worker?.end();
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: Math.min(parallel, waiting.length) }, work));
  const broken = workers.find((each) => each.status === 'rejected');
  if (broken) throw broken.reason;
  return failed;
}

/** @returns seconds per step of each model, timed one after another, and the machine */
export async function timeSteps(
  request: Omit<Extract<ToWorker, { type: 'time' }>, 'type'>,
  environment: LocalRun['environment'],
): Promise<{ stepSec: number[]; machine: string }> {
  const worker = new JobWorker({ environment });
  try {
    const answer = await worker.ask({ type: 'time', ...request });
    if (answer.type === 'timed') return answer;
    throw new PipelineError(
      'SETUP_FAILED',
      `A step could not be timed: ${answer.type === 'failed' ? answer.message : 'its process ended'}`,
    );
  } finally {
    worker.end();
  }
}
