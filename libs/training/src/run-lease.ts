/**
 * One trainer for each run: a lease in the object store with an epoch that only rises, by conditional puts.
 *
 * Delivery: two holders never both believe in one epoch. A holder that lost its lease finds out before it writes its
 * next manifest, so that no checkpoint of an older epoch follows one of a newer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { runPrefix } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from '#storage/object-store.js';

interface LeaseRecord {
  epoch: number;
  holder: string;
  renewedAt: string;
}

/** A lease that was not renewed for this long is anyone's. */
const leaseTtlMs = 20_000;
export const leaseRenewalMs = 5_000;
const pollMs = 2_000;

/** Told who is waited for; and asked, where one can know, whether that one has ended. */
type Waiting = ((by: string) => void) | { onWait: (by: string) => void; isGone?: (holder: string) => boolean };

export class RunLease {
  private constructor(
    private readonly store: Objects,
    private readonly key: string,
    private readonly holder: string,
    readonly epoch: number,
  ) {}

  /** Waits while another holds it. A holder of the same name, which can only be this one's past, is not waited for. */
  static async acquire(store: Objects, runId: string, holder: string, waiting: Waiting): Promise<RunLease> {
    const { onWait, isGone = () => false } = typeof waiting === 'function' ? { onWait: waiting } : waiting;
    const key = leaseKey(runId);
    for (;;) {
      const found = await store.find(key);
      const current = found ? parseLease(found.bytes) : null;
      const isOurs = !current || current.holder === holder || isGone(current.holder);
      if (!isOurs && Date.now() - Date.parse(current.renewedAt) < leaseTtlMs) {
        onWait(current.holder);
        await sleep(pollMs);
        continue;
      }
      const lease = new RunLease(store, key, holder, (current?.epoch ?? 0) + 1);
      const written = await store.put(key, lease.record(), { onlyIf: found ? { etag: found.etag } : 'absent' });
      if (written !== null) return lease;
    }
  }

  /** @throws PipelineError LEASE_LOST */
  async renew(): Promise<void> {
    for (;;) {
      const found = await this.store.find(this.key);
      const current = found && parseLease(found.bytes);
      if (!found || current?.epoch !== this.epoch || current.holder !== this.holder) throw lost(this.key);
      const written = await this.store.put(this.key, this.record(), { onlyIf: { etag: found.etag } });
      // Refused: taken over, or written by a first try whose answer got lost. Only reading it again tells.
      if (written !== null) return;
    }
  }

  /** Lets the next one in at once. What this one writes after it is refused when that one has come. */
  async release(): Promise<void> {
    const found = await this.store.find(this.key);
    if (!found || parseLease(found.bytes).epoch !== this.epoch) return;
    await this.store.put(this.key, this.record(new Date(0)), { onlyIf: { etag: found.etag } });
  }

  private record(renewedAt = new Date()): string {
    return JSON.stringify({ epoch: this.epoch, holder: this.holder, renewedAt: renewedAt.toISOString() } satisfies LeaseRecord);
  }
}

/** Whether an epoch is still the run's. @throws PipelineError LEASE_LOST */
export async function verifyEpoch(store: Objects, runId: string, epoch: number): Promise<void> {
  const found = await store.find(leaseKey(runId));
  if (!found || parseLease(found.bytes).epoch !== epoch) throw lost(leaseKey(runId));
}

const leaseKey = (runId: string): string => `${runPrefix(runId)}lease.json`;
const parseLease = (bytes: Uint8Array): LeaseRecord => JSON.parse(new TextDecoder().decode(bytes)) as LeaseRecord;
const lost = (key: string): PipelineError =>
  new PipelineError(
    'LEASE_LOST',
    `Another trainer took over this run (${key}). Run one trainer for each RUN_NAME, or give each a TRAINER_ID of its own.`,
  );
