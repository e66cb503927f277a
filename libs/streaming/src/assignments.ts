/**
 * What a consumer has of each partition between two joins of its group: a worker, its ledger, and where it is.
 *
 * At every (re)join all of it is thrown away, because the client then reads on from the committed offsets: what a worker
 * held and had not settled comes again.
 */
import type { EachBatchPayload } from 'kafkajs';
import { OffsetLedger } from './offset-ledger.js';
import type { PartitionWorker, WorkerContext } from './partition-worker.js';
import type { PartitionActivity } from './stall-watch.js';
import type { Trying } from './take-record.js';

export interface Assignment<Fact> {
  worker: PartitionWorker<Fact>;
  ledger: OffsetLedger;
  revoked: AbortController;
  /** The client's position: of the next record to fetch. */
  next: string | undefined;
  /** The record that the worker has. */
  working: string | undefined;
  /** Until the record is tried again. */
  paused: boolean;
  /** The record at hand, over all its tries. */
  trying: Trying | undefined;
  /** Commits in the generation that the assignment is of, without tries of its own. */
  commit: EachBatchPayload['commitOffsetsIfNecessary'] | undefined;
}

export class Assignments<Fact> {
  private readonly byPartition = new Map<number, Assignment<Fact>>();
  /** By partition, where the client was when the group was joined again with records still open before it. */
  private readonly positionsBeforeJoin = new Map<number, string>();

  constructor(
    private readonly createWorker: (context: WorkerContext) => PartitionWorker<Fact>,
    private readonly crash: (error: unknown) => void,
  ) {}

  get workers(): PartitionWorker<Fact>[] {
    return [...this.byPartition.values()].map(({ worker }) => worker);
  }

  /** With a new worker, if the partition has none. */
  of(partition: number): Assignment<Fact> {
    const existing = this.byPartition.get(partition);
    if (existing) return existing;
    const ledger = new OffsetLedger();
    const revoked = new AbortController();
    const worker = this.createWorker({
      partition,
      crash: this.crash,
      settle: (offset) => {
        if (!revoked.signal.aborted) ledger.settle(offset);
      },
    });
    const place = { next: undefined, working: undefined, paused: false, trying: undefined, commit: undefined };
    const assignment: Assignment<Fact> = { worker, ledger, revoked, ...place };
    this.byPartition.set(partition, assignment);
    return assignment;
  }

  /**
   * With several brokers, a leader that moves has the client join again while it waits for what it asked another broker
   * for. That answer goes on from the old position, not from the committed offset: taken, it would carry position and
   * commit past records that were thrown away with their worker. It comes once at most; dropped, it is fetched anew.
   */
  isOfBeforeJoin(batch: EachBatchPayload['batch']): boolean {
    const before = this.positionsBeforeJoin.get(batch.partition);
    this.positionsBeforeJoin.delete(batch.partition);
    return before !== undefined && before === (batch as unknown as { fetchedOffset: string }).fetchedOffset;
  }

  abandonAll(): void {
    this.positionsBeforeJoin.clear();
    for (const [partition, { worker, revoked, ledger, next }] of this.byPartition) {
      revoked.abort();
      worker.abandon();
      if (next !== undefined && ledger.openCount > 0) this.positionsBeforeJoin.set(partition, next);
    }
    this.byPartition.clear();
  }

  /** Commits what is settled. What the broker refuses is due again the next time. @throws the broker's refusal */
  async commitSettled(topic: string): Promise<void> {
    const due = [...this.byPartition].flatMap(([partition, { ledger, commit }]) => {
      const offset = ledger.takeCommittable();
      return offset === null || !commit ? [] : [{ partition, offset, ledger, commit }];
    });
    const partitions = due.map(({ partition, offset }) => ({ partition, offset }));
    await due[0]?.commit({ topics: [{ topic, partitions }] }).catch((error: unknown) => {
      for (const { ledger, offset } of due) ledger.giveBack(offset);
      throw error;
    });
  }

  activityOf(place: { topic: string; partition: number; position: bigint | null }): PartitionActivity {
    const assignment = this.byPartition.get(place.partition);
    if (!assignment) return { ...place, state: 'waiting', attempt: 0 };
    const { working, paused, trying, worker } = assignment;
    const attempt = trying ? trying.attempts.failed + trying.unknown : 0;
    if (paused || (working !== undefined && worker.isHeldUp)) return { ...place, state: 'excused', attempt };
    if (working === undefined) return { ...place, state: 'waiting', attempt };
    return { ...place, state: 'working', attempt, position: BigInt(working) };
  }
}
