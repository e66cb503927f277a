/**
 * Opens a run: takes its lease, keeps it while the run is open, and starts its compute process. A trainer has one open run at a
 * time. Tiles of another geometry need another network, and therefore another run.
 *
 * Delivery: the trainer holds the lease before it reads the run's newest checkpoint, and checks the epoch before each manifest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { runLeaseKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { crashProcess } from '#service/crash-process.js';
import type { ObjectStore } from '#storage/object-store.js';
import { retrying } from '#streaming/retry.js';
import { Lease, leaseRenewalMs } from '#storage/lease.js';
import { configHashOf, type RunSettings } from '#rounds/run-settings.js';
import { ComputeClient, type ComputeReady, type RoundEvent } from './compute-client.js';
import type { TrainerConfig } from './config.js';

export interface OpenRunEvents {
  onRoundEvent: (event: RoundEvent) => void;
  /** Called while another trainer holds the run. */
  onWait: (holder: string) => void;
}

/**
 * The run's settings for tiles of a geometry, in its name as well.
 * @param tile null: not known yet, the model's default
 * @throws PipelineError SETTINGS_INVALID
 */
export function runFor({ run, runName }: Pick<TrainerConfig, 'run' | 'runName'>, tile: [number, number] | null): RunSettings {
  const model = tile ? { tile, ...run.model } : run.model;
  return { ...run, model, runId: `${runName}-${configHashOf({ ...run, model })}` };
}

/** @returns the run, or SETTINGS_INVALID where the tiles that the shards state are for no network */
export function findRunFor(config: Pick<TrainerConfig, 'run' | 'runName'>, tile: [number, number] | null): RunSettings | PipelineError {
  try {
    return runFor(config, tile);
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'SETTINGS_INVALID') return error;
    throw error;
  }
}

export class OpenRun {
  private isClosed = false;

  private constructor(
    readonly run: RunSettings,
    readonly lease: Lease,
    readonly compute: ComputeClient,
    readonly ready: ComputeReady,
  ) {
    this.keepLease().catch(crashProcess);
  }

  /** Waits while another trainer holds the run. */
  static async open(run: RunSettings, config: TrainerConfig, objects: ObjectStore, events: OpenRunEvents): Promise<OpenRun> {
    const { trainerId, store, shardCache, keepModels, backend } = config;
    const lease = await retrying(() => Lease.acquire(objects, runLeaseKey(run.runId), trainerId, events.onWait));
    const compute = new ComputeClient(events.onRoundEvent, crashProcess);
    const ready = await compute.setUp({ run, store, shardCache, epoch: lease.epoch, keepModels, backend });
    return new OpenRun(run, lease, compute, ready);
  }

  /** Ends the process at once. A running round continues from its last checkpoint when the run is opened again. */
  stop(): void {
    this.isClosed = true;
    this.compute.stop();
  }

  /** Releases the run for another trainer. Call it between rounds. */
  async close(): Promise<void> {
    this.stop();
    await retrying(() => this.lease.release());
  }

  /** Runs one renewal at a time. */
  private async keepLease(): Promise<void> {
    for (;;) {
      await sleep(leaseRenewalMs);
      if (this.isClosed) return;
      await retrying(() => this.lease.renew());
    }
  }
}
