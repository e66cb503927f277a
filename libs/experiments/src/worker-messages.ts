/** What the process that hands out jobs and those that do them say to each other. */
import type { BackendOptions } from '#tensor/backend.js';
import type { StoreConnection } from '#service/connection-config.js';
import type { ShardCache } from '#rounds/tile-store.js';
import type { ExperimentFile } from './experiment-file.js';
import type { JobResult } from './experiment-results.js';
import type { MeasuredModel } from './measure-step.js';
import type { JobProgress } from './run-job.js';

export interface WorkerSetup {
  source: WorkerSource;
  backend: Omit<BackendOptions, 'log'>;
}

/** Where tiles come from, and where results go. */
export type WorkerSource =
  | {
      kind: 'folder';
      file: ExperimentFile;
      /** Folder of shards. */
      shards: string;
      /** Folder of the experiment. */
      out: string;
      search: boolean;
    }
  | {
      kind: 'bucket';
      connection: StoreConnection;
      /** Of this process alone: the trainer's own is the trainer's. */
      shardCache: Omit<ShardCache, 'connection'>;
      /** As it was published. */
      experiment: string;
      /** On this machine, for checkpoints of jobs that are under way. */
      workFolder: string;
    };

export type ToWorker =
  | { type: 'setup'; setup: WorkerSetup }
  | { type: 'job'; jobId: string }
  | { type: 'time'; models: MeasuredModel[]; backend: WorkerSetup['backend'] };

export type FromWorker =
  | { type: 'ready' }
  | { type: 'progress'; jobId: string; progress: JobProgress }
  | { type: 'done'; jobId: string; result: Pick<JobResult, 'job' | 'evaluations' | 'wallSec'> }
  /** Seconds, of each model in turn. */
  | { type: 'timed'; stepSec: number[]; machine: string }
  /** The job cannot be done; null: nothing can. */
  | { type: 'failed'; jobId: string | null; code: string | null; message: string };
