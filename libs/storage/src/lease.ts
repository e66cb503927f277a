/**
 * One at a time: one trainer for each run, one holder for each job. A lease in the object store with an epoch that only
 * rises, by conditional puts.
 *
 * Delivery: two holders never both believe in one epoch. A trainer that lost its lease finds out before it writes its
 * next manifest, so that no checkpoint of an older epoch follows one of a newer; a job, before its next step.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from './object-store.js';

/** What a holder says of itself. */
interface LeaseNote {
  /** Of the round that is under way, which reads the shards of its view as it was then; null between rounds. */
  roundStartedAt: Date | null;
}

interface LeaseRecord {
  epoch: number;
  holder: string;
  renewedAt: string;
  /** Absent: written before there were notes. */
  roundStartedAt?: string | null;
}

/** A lease that was not renewed for this long is anyone's. */
const leaseTtlMs = 20_000;
export const leaseRenewalMs = 5_000;
const pollMs = 2_000;
/** A holder that was held up for this long may still go on with its round. */
const roundOutlivesMs = 10 * 60_000;

/** Told who is waited for (what it throws ends the waiting); and asked, where one can know, whether that one has ended. */
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
   * Waits while another holds it. A holder of the same name, which can only be this one's past, is not waited for.
   * @param key runLeaseKey or jobLeaseKey
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
      // Refused: taken over, or written by a first try whose answer got lost, or by a renewal beside this one. Only reading it again tells.
      if (written !== null) return;
    }
  }

  /** Says something about its holder: written when this resolves, and with each renewal from now on. @throws PipelineError LEASE_LOST */
  async note(note: LeaseNote): Promise<void> {
    this.noted = note;
    await this.renew();
  }

  /** Lets the next one in at once. What this one writes after it is refused when that one has come. */
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
 * Renews a lease now and then, one renewal after another. It says nothing of a lease that is lost: the next check of the epoch does.
 * @returns ends the renewals
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

/** Whether an epoch is still the lease's. @throws PipelineError LEASE_LOST */
export async function verifyEpoch(store: Objects, key: string, epoch: number): Promise<void> {
  const found = await store.find(key);
  if (!found || parseLease(found.bytes).epoch !== epoch) throw lost(key);
}

/** When the rounds began that are under way, of all runs. */
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
    : 'Another process does this job now.';
  return new PipelineError('LEASE_LOST', `${key} is not ours any more. ${advice}`);
};
