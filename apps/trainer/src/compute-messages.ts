/** What the trainer and its compute process say to each other. */
import type { ErrorCode } from '#contracts/pipeline-error.js';
import type { StepLosses } from '#model/train-step.js';
import type { StoreConnection } from '#service/connection-config.js';
import type { Checkpoint } from '#training/checkpoint-store.js';
import type { TrainingView } from '#training/training-index.js';
import type { RunSettings } from '#training/training-run.js';

export interface ComputeSetup {
  run: RunSettings;
  store: StoreConnection;
  shardCache: { folder: string; limitBytes: number };
  epoch: number;
  backend: { requested: string | undefined; webgpuDir: string | undefined; hasGpu: boolean };
}

export type ToCompute = { type: 'setup'; setup: ComputeSetup } | { type: 'round'; view: TrainingView };

export type FromCompute =
  | { type: 'ready'; backend: string; why: string; restored: Checkpoint | null }
  | {
      type: 'roundStarted';
      round: number;
      step: number;
      steps: number;
      viewDigest: string;
      tiles: { labelled: number; unlabelled: number };
      speakers: number;
    }
  | { type: 'stepTrained'; round: number; step: number; losses: StepLosses; stepMs: number; waitMs: number }
  | { type: 'shardsGone'; shardIds: string[] }
  | { type: 'saved'; checkpoint: Checkpoint }
  | { type: 'checkpointRefused'; why: string }
  | { type: 'roundFinished'; round: number; step: number; losses: StepLosses; tilesPerSec: number; wallSec: number; waitShare: number }
  | { type: 'roundDone'; trained: boolean }
  | { type: 'failed'; code: ErrorCode | null; message: string; stack: string | undefined };
