/**
 * A lease in the object store: one trainer for each run, one holder for each job. Conditional puts let its epoch only rise.
 *
 * Delivery: two holders never have the same epoch. A trainer that lost its lease finds out before it writes its next manifest, so
 * no checkpoint of an older epoch follows one of a newer epoch. A job finds out before its next step.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from './object-store.js';

/** Notes of the holder. */
interface LeaseNote {
  /** Start of the running round, which reads the shards of its view at that time; null between rounds. */
  roundStartedAt: Date | null;
}

interface LeaseRecord {
  epoch: number;
  holder: string;
  renewedAt: string;
  /** Absent in leases written before notes existed. */
  roundStartedAt?: string | null;
}

/** A lease that was not renewed for this long has expired, and anyone may take it. */
const leaseTtlMs = 20_000;
export const leaseRenewalMs = 5_000;
const pollMs = 2_000;
/** A holder that was blocked for this long may still continue its round. */
const roundOutlivesMs = 10 * 60_000;

/** `onWait` is called with the present holder; an error that it throws ends the wait. `isGone` tells, if it can be known, whether the holder has ended. */
type Waiting = ((by: string) => void) | { onWait: (by: string) => void; isGone?: (holder: string) => boolean };

export class Lease {
  private noted: LeaseNote = { roundStartedAt: null };

  private constructor(
    private readonly store: Objects,
    readonly key: string,
    private readonly holder: string,
    readonly epoch: number,
  ) {}

  /**
   * Acquires the lease, and waits while another holds it. It does not wait for a holder of the same name, which can only be an
   * earlier life of this holder.
   * @param key a key by runLeaseKey or jobLeaseKey
   */
  static async acquire(store: Objects, key: string, holder: string, waiting: Waiting): Promise<Lease> {
    const { onWait, isGone = () => false } = typeof waiting === 'function' ? { onWait: waiting } : waiting;
    for (;;) {
      const found = await store.find(key);
      const current = found ? parseLease(found.bytes) : null;
      const isOurs = !current || current.holder === holder || isGone(current.holder);
      if (!isOurs && Date.now() - Date.parse(current.renewedAt) < leaseTtlMs) {
        onWait(current.holder);
        await sleep(pollMs);
        continue;
      }
      const lease = new Lease(store, key, holder, (current?.epoch ?? 0) + 1);
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
      // The put was refused: another took the lease, or a first try whose answer was lost, or a parallel renewal, wrote it. Reading it again tells.
      if (written !== null) return;
    }
  }

  /** Writes notes of the holder; each renewal repeats them. @throws PipelineError LEASE_LOST */
  async note(note: LeaseNote): Promise<void> {
    this.noted = note;
    await this.renew();
  }

  /** Releases the lease, so that the next holder need not wait. Later writes of this holder are refused once the next has come. */
  async release(): Promise<void> {
    this.noted = { roundStartedAt: null };
    const found = await this.store.find(this.key);
    if (!found || parseLease(found.bytes).epoch !== this.epoch) return;
    await this.store.put(this.key, this.record(new Date(0)), { onlyIf: { etag: found.etag } });
  }

  private record(renewedAt = new Date()): string {
    return JSON.stringify({
      epoch: this.epoch,
      holder: this.holder,
      renewedAt: renewedAt.toISOString(),
      roundStartedAt: this.noted.roundStartedAt?.toISOString() ?? null,
    } satisfies LeaseRecord);
  }
}

/**
 * Renews a lease at intervals, one renewal at a time. It does not report a lost lease; the next check of the epoch does.
 * @returns a function that ends the renewals
 */
export function keepRenewed(lease: Pick<Lease, 'renew'>): () => void {
  let isRenewing = false;
  const renew = async (): Promise<void> => {
    if (isRenewing) return;
    isRenewing = true;
    await lease.renew().catch(() => undefined);
    isRenewing = false;
  };
  const timer = setInterval(() => void renew(), leaseRenewalMs);
  return () => clearInterval(timer);
}

/** Checks that the epoch is still the lease's. @throws PipelineError LEASE_LOST */
export async function verifyEpoch(store: Objects, key: string, epoch: number): Promise<void> {
  const found = await store.find(key);
  if (!found || parseLease(found.bytes).epoch !== epoch) throw lost(key);
}

/** @returns the start times of the running rounds, of all runs */
export async function roundStarts(store: Objects): Promise<Date[]> {
  const starts: Date[] = [];
  for await (const { key } of store.list('models/')) {
    if (!/^models\/[^/]+\/lease\.json$/.test(key)) continue;
    const found = await store.find(key);
    const { renewedAt, roundStartedAt } = found ? parseLease(found.bytes) : {};
    if (renewedAt && roundStartedAt && Date.now() - Date.parse(renewedAt) < roundOutlivesMs) starts.push(new Date(roundStartedAt));
  }
  return starts;
}

const parseLease = (bytes: Uint8Array): LeaseRecord => JSON.parse(new TextDecoder().decode(bytes)) as LeaseRecord;
const lost = (key: string): PipelineError => {
  const advice = key.startsWith('models/')
    ? 'Another trainer took over this run. Run one trainer for each RUN_NAME, or give each a TRAINER_ID of its own.'
    : 'Another process has taken this job over. Nothing needs to be done.';
  return new PipelineError('LEASE_LOST', `This process has lost the lease ${key}. ${advice}`);
};
