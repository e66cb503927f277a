/** The messages between the trainer and its compute process. */
import type { StoreConnection } from '#service/connection-config.js';
import type { StoreCall } from '#storage/object-store.js';
import type { Checkpoint } from '#rounds/checkpoint-store.js';
import type { TrainingView } from '#index/training-index.js';
import type { RunEvents, RunSettings } from '#rounds/run-settings.js';
import type { ProcessFailure } from './process-failure.js';

export interface ComputeSetup {
  run: RunSettings;
  store: StoreConnection;
  shardCache: { folder: string; limitBytes: number };
  epoch: number;
  /** Number of finished rounds whose weights stay in the store. */
  keepModels: number;
  backend: { requested: string | undefined; webgpuDir: string | undefined; hasGpu: boolean };
}

export type ToCompute =
  | { type: 'setup'; setup: ComputeSetup }
  /** `asked`: utterances about which `roundStarted` says if this round is the first to have them. `erased`: utterances that changed since the view. */
  | { type: 'round'; id: number; view: TrainingView; asked: string[]; erased: string[] }
  /** Utterances that changed since the view of that round. If the message comes after the round, it concerns no other round. */
  | { type: 'erase'; roundId: number; utteranceIds: string[] };

/** The utterances in `asked` that no round has learnt before, and those that no round learns (held out). */
export interface FirstHad {
  learnt: string[];
  heldOut: string[];
}

type Facts<Name extends keyof RunEvents> = Parameters<RunEvents[Name]>[0];

export type FromCompute =
  | { type: 'ready'; backend: string; why: string; restored: Checkpoint | null }
  | ({ type: 'roundStarted'; viewDigest: string; first: FirstHad } & Omit<Facts<'roundStarted'>, 'view' | 'isFirstLearnt'>)
  | ({ type: 'stepTrained' } & Facts<'stepTrained'>)
  | ({ type: 'checked' } & Facts<'checked'>)
  | ({ type: 'erased' } & Facts<'erased'>)
  | { type: 'shardsGone'; shardIds: string[] }
  | { type: 'saved'; checkpoint: Checkpoint }
  | { type: 'checkpointRefused'; why: string }
  | ({ type: 'wentBack' } & Facts<'wentBack'>)
  | ({ type: 'roundFinished' } & Facts<'roundFinished'>)
  /** Store calls and retries of the process's own connections. The trainer adds them to its own counts. */
  | ({ type: 'storeCalled' } & StoreCall)
  | { type: 'retried' }
  | { type: 'roundDone'; trained: boolean }
  | ProcessFailure;
