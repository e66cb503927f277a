/** What the trainer and its compute process say to each other. */
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
  /** Finished rounds whose weights stay in the store. */
  keepModels: number;
  backend: { requested: string | undefined; webgpuDir: string | undefined; hasGpu: boolean };
}

export type ToCompute =
  | { type: 'setup'; setup: ComputeSetup }
  /** `asked` are utterances of which `roundStarted` tells whether the round is the first to have them; `erased` are not what the view says any more. */
  | { type: 'round'; id: number; view: TrainingView; asked: string[]; erased: string[] }
  /** These are no longer what the view of that round says. When it comes too late for it, it concerns no other. */
  | { type: 'erase'; roundId: number; utteranceIds: string[] };

/** Of the utterances that were asked about: those that no round has learnt before, and those that none learns. */
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
  /** Of the process's own connections, as what is tried again; the trainer counts both with its own. */
  | ({ type: 'storeCalled' } & StoreCall)
  | { type: 'retried' }
  | { type: 'roundDone'; trained: boolean }
  | ProcessFailure;
