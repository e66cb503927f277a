/**
 * Holds the state of each partition of a consumer between two joins of its group: a worker, its ledger and its position.
 *
 * Every (re)join discards all of it, because the client then continues from the committed offsets. Records that a worker held
 * unsettled come again.
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
  /** The client's position: offset of the next record to fetch. */
  next: string | undefined;
  /** Offset of the record that the worker has. */
  working: string | undefined;
  /** Timer until the record is tried again. */
  paused: boolean;
  /** State of the present record over all its tries. */
  trying: Trying | undefined;
  /** Commits in the generation of the assignment, without retries. */
  commit: EachBatchPayload['commitOffsetsIfNecessary'] | undefined;
}

export class Assignments<Fact> {
  private readonly byPartition = new Map<number, Assignment<Fact>>();
  /** Position of the client, by partition, at a rejoin with records still open before it. */
  private readonly positionsBeforeJoin = new Map<number, string>();

  constructor(
    private readonly createWorker: (context: WorkerContext) => PartitionWorker<Fact>,
    private readonly crash: (error: unknown) => void,
  ) {}

  get workers(): PartitionWorker<Fact>[] {
    return [...this.byPartition.values()].map(({ worker }) => worker);
  }

  /** @returns the assignment of a partition, with a new worker if it has none */
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
   * Drops a stale answer. With several brokers, a moving leader makes the client rejoin while it waits for an answer of another
   * broker. That answer continues from the old position, not from the committed offset. If it were taken, position and commit would
   * pass records that were discarded with their worker. It comes at most once; after the drop the records are fetched again.
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

  /** Commits the settled offsets. A refused commit is due again the next time. @throws the broker's refusal */
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
