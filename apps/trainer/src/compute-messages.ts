/** What the trainer and its compute process say to each other. */
import type { ErrorCode } from '#contracts/pipeline-error.js';
import type { StoreConnection } from '#service/connection-config.js';
import type { StoreCall } from '#storage/object-store.js';
import type { Checkpoint } from '#training/checkpoint-store.js';
import type { TrainingView } from '#training/training-index.js';
import type { RunEvents, RunSettings } from '#training/run-settings.js';

export interface ComputeSetup {
  run: RunSettings;
  store: StoreConnection;
  shardCache: { folder: string; limitBytes: number };
  epoch: number;
  /** Finished rounds whose weights stay in the store. */
  keepModels: number;
  backend: { requested: string | undefined; webgpuDir: string | undefined; hasGpu: boolean };
}

export type ToCompute =
  | { type: 'setup'; setup: ComputeSetup }
  | { type: 'round'; view: TrainingView }
  /** During a round: these are no longer what its view says. */
  | { type: 'erase'; utteranceIds: string[] };

type Facts<Name extends keyof RunEvents> = Parameters<RunEvents[Name]>[0];

export type FromCompute =
  | { type: 'ready'; backend: string; why: string; restored: Checkpoint | null }
  | ({ type: 'roundStarted'; viewDigest: string } & Omit<Facts<'roundStarted'>, 'view'>)
  | ({ type: 'stepTrained' } & Facts<'stepTrained'>)
  | ({ type: 'checked' } & Facts<'checked'>)
  | ({ type: 'erased' } & Facts<'erased'>)
  | { type: 'shardsGone'; shardIds: string[] }
  | { type: 'saved'; checkpoint: Checkpoint }
  | { type: 'checkpointRefused'; why: string }
  | ({ type: 'roundFinished' } & Facts<'roundFinished'>)
  /** Of the process's own connections, as what is tried again; the trainer counts both with its own. */
  | ({ type: 'storeCalled' } & StoreCall)
  | { type: 'retried' }
  | { type: 'roundDone'; trained: boolean }
  | { type: 'failed'; code: ErrorCode | null; message: string; stack: string | undefined };
