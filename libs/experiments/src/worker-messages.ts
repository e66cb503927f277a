/** The messages between the parent process and its workers. */
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

/** The source of tiles and the destination of results. */
export type WorkerSource =
  | {
      kind: 'folder';
      file: ExperimentFile;
      /** The folder of shards. */
      shards: string;
      /** The folder of the experiment. */
      out: string;
      search: boolean;
    }
  | {
      kind: 'bucket';
      connection: StoreConnection;
      /** A shard cache for this process only. The trainer has a cache of its own. */
      shardCache: Omit<ShardCache, 'connection'>;
      /** The key of the published experiment. */
      experiment: string;
      /** A folder on this machine for checkpoints of running jobs. */
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
  /** Seconds per step of each model, in order. */
  | { type: 'timed'; stepSec: number[]; machine: string }
  /** The job failed; `jobId` null: the worker cannot run any job. */
  | { type: 'failed'; jobId: string | null; code: string | null; message: string };
