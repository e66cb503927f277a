/**
 * The consumer loop: one worker per partition, and commits that never run ahead of effects. failure.ts decides what becomes
 * of a record on which a worker failed.
 *
 * A record that is to be tried again pauses its partition and gives the batch back, because the client fetches nothing
 * for any partition of a broker, and joins no rebalance, before all batches of the last fetch are done.
 *
 * Delivery: at least once. A record comes again after a crash or a rebalance unless everything before it was settled
 * and committed. The position moves when a worker takes a record; the committed offset follows the {@link OffsetLedger}.
 * At every (re)join all workers are thrown away, because the client then reads on from the committed offsets: what a
 * worker held and had not settled comes again. What is idempotent about an effect is the worker's to say.
 */
import { once } from 'node:events';
import type { Consumer, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs';
import { topicName } from '#contracts/topic.js';
import type { Span } from '#service/spans.js';
import type { RecordOrigin } from './dead-letter-office.js';
import { atMost } from './at-most.js';
import { ConsumerPulse } from './consumer-pulse.js';
import { patientRetry } from './kafka-client.js';
import { OffsetLedger } from './offset-ledger.js';
import type { PartitionWorker, StreamRecord, WorkerContext } from './partition-worker.js';
import { inProcessSpan } from './record-spans.js';
import { retrying } from './retry.js';
import { runThroughOutages } from './run-through-outages.js';
import type { ConsumerActivity, PartitionActivity, WatchedConsumer } from './stall-watch.js';
import { RecordTaker, Trying, type RecordTakerOptions } from './take-record.js';

export interface PartitionConsumerOptions<Fact> extends RecordTakerOptions<Fact> {
  kafka: Kafka;
  topicPrefix: string;
  groupId: string;
  /** Ends the process loudly. */
  crash: (error: unknown) => void;
  createWorker: (context: WorkerContext) => PartitionWorker<Fact>;
  partitionsConsumedConcurrently?: number;
}

interface Assignment<Fact> {
  worker: PartitionWorker<Fact>;
  ledger: OffsetLedger;
  revoked: AbortController;
  /** The client's position: of the next record to fetch. */
  next: string | undefined;
  /** The record that the worker has. */
  working: string | undefined;
  /** Until the record is tried again. */
  paused: boolean;
  /** The record that is tried again, while there is one. */
  trying: Trying | undefined;
  /** Commits in the generation that the assignment is of, without tries of its own. */
  commit: EachBatchPayload['commitOffsetsIfNecessary'] | undefined;
}

const commitIntervalMs = 500;
const heartbeatIntervalMs = 1_000;
/**
 * How long the partitions of a process that was killed stay with nobody: its replacement waits for it in the group. The
 * least that a broker takes unless told otherwise (`group.min.session.timeout.ms`). A process whose main thread stands
 * still for as long loses its partitions, and what it held comes again; heartbeats are sent while a record is worked on.
 */
const sessionTimeoutMs = 6_000;
/** How long the others of a group wait for one that has a long recording in hand; then it is put out, and the record comes again. */
const rebalanceTimeoutMs = 10_000;
/** At stop, how long records that workers have in hand may still take, and then what was taken to become durable: less than 20 s together. */
const finishLimitMs = 4_000;
const drainLimitMs = 7_000;
/** For the commit, and for leaving the group: a broker that is away must not keep a process from ending. */
const partingMs = 1_500;
/** More than any of our topics has: a batch must not wait in the client's queue while the group rejoins, or it would be stale. */
const partitionsAtOnce = 64;

export class PartitionConsumer<Fact> implements WatchedConsumer {
  readonly commits = true;
  private readonly consumer: Consumer;
  private readonly pulse: ConsumerPulse;
  private readonly taker: RecordTaker<Fact>;
  private readonly topic: string;
  private readonly assignments = new Map<number, Assignment<Fact>>();
  /** By partition, where the client was when the group was joined again with records still open before it. */
  private readonly positionsBeforeJoin = new Map<number, string>();
  private commitTimer: NodeJS.Timeout | undefined;
  private committing: Promise<void> | undefined;
  private started = false;
  private readonly stopped = new AbortController();
  /** What workers have in hand. */
  private readonly taking = new Set<Promise<void>>();
  /** Nobody waits for a worker any more. */
  private readonly left = new AbortController();

  constructor(private readonly options: PartitionConsumerOptions<Fact>) {
    this.topic = topicName(options.topic, options.topicPrefix);
    this.taker = new RecordTaker(options);
    this.consumer = options.kafka.consumer({
      groupId: options.groupId,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: rebalanceTimeoutMs,
      heartbeatInterval: heartbeatIntervalMs,
      maxWaitTimeInMs: 200,
      allowAutoTopicCreation: false,
      retry: { ...patientRetry, restartOnFailure: () => Promise.resolve(!this.stopped.signal.aborted) },
    });
    this.pulse = new ConsumerPulse(this.consumer, { keepsPositions: false });
  }

  get groupId(): string {
    return this.options.groupId;
  }

  get topics(): string[] {
    return [this.topic];
  }

  activity(): ConsumerActivity | null {
    if (!this.started || this.stopped.signal.aborted) return null;
    const { memberAtMs, takenAtMs } = this.pulse;
    const partitions = this.pulse.partitions.map((place): PartitionActivity => {
      const assignment = this.assignments.get(place.partition);
      if (!assignment) return { ...place, state: 'waiting', attempt: 0 };
      const { working, paused, trying, worker } = assignment;
      const attempt = trying?.attempts.failed ?? 0;
      if (paused || (working !== undefined && worker.isHeldUp)) return { ...place, state: 'excused', attempt };
      return working === undefined
        ? { ...place, state: 'waiting', attempt }
        : { ...place, state: 'working', attempt, position: BigInt(working) };
    });
    return { memberAtMs, takenAtMs, partitions };
  }

  /** Resolves when the group is joined. */
  async start(): Promise<void> {
    this.started = true;
    await retrying(() => this.options.crashes.recover());
    const joined = new Promise<void>((resolve) => {
      this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload: { groupId, memberAssignment, duration } }) => {
        this.abandonAll();
        this.options.logger.info({ groupId, partitions: memberAssignment[this.topic] ?? [], joinMs: duration }, 'joined its group');
        resolve();
      });
    });
    await this.consumer.connect();
    await this.consumer.subscribe({ topic: this.topic, fromBeginning: true });
    await runThroughOutages(this.consumer, {
      run: () =>
        this.consumer.run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          partitionsConsumedConcurrently: this.options.partitionsConsumedConcurrently ?? partitionsAtOnce,
          eachBatch: (payload) => this.takeBatch(payload),
        }),
      stopped: this.stopped.signal,
      onFatal: this.options.crash,
      logger: this.options.logger,
    });
    await joined;
    this.commitTimer = setInterval(() => void this.commit(), commitIntervalMs);
  }

  /**
   * Stops fetching, finishes or abandons what is in hand, drains the workers, commits and leaves the group. What takes too
   * long, a recording of hours or a store that is away, is not waited for: it comes again.
   */
  async stop(): Promise<void> {
    this.stopped.abort();
    if (this.commitTimer) this.consumer.pause([{ topic: this.topic }]);
    clearInterval(this.commitTimer);
    await atMost(finishLimitMs, Promise.allSettled(this.taking));
    await atMost(drainLimitMs, Promise.allSettled([...this.assignments.values()].map(({ worker }) => worker.drain())));
    await atMost(
      partingMs,
      Promise.resolve(this.committing).then(() => this.commit()),
    );
    this.abandonAll();
    this.left.abort();
    await atMost(partingMs, this.consumer.disconnect());
  }

  private async takeBatch(payload: EachBatchPayload): Promise<void> {
    const { batch, heartbeat, resolveOffset, isRunning } = payload;
    if (this.isOfBeforeJoin(batch)) return;
    const assignment = this.assignmentOf(batch.partition);
    assignment.commit = payload.commitOffsetsIfNecessary;
    const { signal } = assignment.revoked;
    // The broker's word: the group rebalances, or has put this member out. A heartbeat right after would not be sent, and so not say it.
    let lost: unknown;
    const beat = setInterval(() => {
      heartbeat().catch((error: unknown) => {
        if ((error as { type?: string }).type !== undefined) lost ??= error;
      });
    }, heartbeatIntervalMs);
    try {
      for (const message of batch.messages) {
        if (signal.aborted || this.stopped.signal.aborted || !isRunning()) return;
        assignment.ledger.take(message.offset);
        const waitMs = await this.takeRecord(assignment, batch.partition, message);
        if (signal.aborted) return;
        if (waitMs !== null) return this.resumeLater(assignment, payload.pause(), waitMs);
        resolveOffset(message.offset);
        assignment.next = (BigInt(message.offset) + 1n).toString();
        this.pulse.reached(this.topic, batch.partition, BigInt(message.offset) + 1n);
        // What is thrown ends this batch; the records come again.
        await heartbeat();
        if (lost) throw lost as Error;
      }
    } finally {
      clearInterval(beat);
    }
  }

  /** @returns null when the record is done with; else how long to wait before it is tried again */
  private async takeRecord(assignment: Assignment<Fact>, partition: number, message: KafkaMessage): Promise<number | null> {
    const origin: RecordOrigin = { topic: this.topic, partition, offset: message.offset, key: message.key, value: message.value };
    const record: StreamRecord<Fact> = { key: message.key?.toString() ?? null, fact: null, origin, headers: message.headers };
    return inProcessSpan(record, this.groupId, (span) => this.takeInSpan(assignment, record, span));
  }

  private async takeInSpan(assignment: Assignment<Fact>, record: StreamRecord<Fact>, span: Span): Promise<number | null> {
    const { worker, ledger, revoked } = assignment;
    const { signal } = revoked;
    const { offset } = record.origin;
    assignment.working = offset;
    if (assignment.trying?.offset !== offset) assignment.trying = new Trying(offset);
    const { trying } = assignment;
    const work = (): Promise<void> => this.untilTakenOrLeft(worker.take(record));
    const outcome = await this.taker.take(record, { work, trying, span, signal });
    assignment.working = undefined;
    if (signal.aborted) return null;
    switch (outcome.kind) {
      case 'retry':
        // The next try may end the process: what is settled by now must not come again with the record.
        if (trying.unknown > 0) await this.commit();
        return outcome.waitMs;
      case 'dead-letter':
        ledger.settle(offset);
        break;
      case 'stop':
        this.options.crash(outcome.error);
        // The process is going down; the batch must not go on past this record.
        await once(signal, 'abort');
        break;
      case 'taken':
    }
    assignment.trying = undefined;
    return null;
  }

  /** The client leaves its group only when all batches are done: one that waited for a worker would keep the process from stopping. */
  private async untilTakenOrLeft(taking: Promise<void>): Promise<void> {
    const { signal } = this.left;
    let leave: () => void = () => undefined;
    this.taking.add(taking);
    try {
      // A promise for each record: one for all would remember every record that ever waited for it.
      const left = new Promise<void>((resolve) => {
        leave = resolve;
        signal.addEventListener('abort', leave, { once: true });
      });
      await Promise.race([taking, left]);
    } finally {
      signal.removeEventListener('abort', leave);
      this.taking.delete(taking);
    }
  }

  private assignmentOf(partition: number): Assignment<Fact> {
    const existing = this.assignments.get(partition);
    if (existing) return existing;
    const ledger = new OffsetLedger();
    const revoked = new AbortController();
    const worker = this.options.createWorker({
      partition,
      crash: this.options.crash,
      settle: (offset) => {
        if (!revoked.signal.aborted) ledger.settle(offset);
      },
    });
    const assignment: Assignment<Fact> = {
      worker,
      ledger,
      revoked,
      next: undefined,
      working: undefined,
      paused: false,
      trying: undefined,
      commit: undefined,
    };
    this.assignments.set(partition, assignment);
    return assignment;
  }

  /**
   * With several brokers, a leader that moves has the client join again while it waits for what it asked another broker
   * for. That answer goes on from the old position, not from the committed offset: taken, it would carry position and
   * commit past records that were thrown away with their worker. It comes once at most; dropped, it is fetched anew.
   */
  private isOfBeforeJoin(batch: EachBatchPayload['batch']): boolean {
    const before = this.positionsBeforeJoin.get(batch.partition);
    this.positionsBeforeJoin.delete(batch.partition);
    return before !== undefined && before === (batch as unknown as { fetchedOffset: string }).fetchedOffset;
  }

  private abandonAll(): void {
    this.positionsBeforeJoin.clear();
    for (const [partition, { worker, revoked, ledger, next }] of this.assignments) {
      revoked.abort();
      worker.abandon();
      if (next !== undefined && ledger.openCount > 0) this.positionsBeforeJoin.set(partition, next);
    }
    this.assignments.clear();
  }

  /** One at a time, so that an older offset is never committed after a newer one. */
  private commit(): Promise<void> {
    this.committing ??= this.commitSettled().finally(() => {
      this.committing = undefined;
    });
    return this.committing;
  }

  private async commitSettled(): Promise<void> {
    const due = [...this.assignments].flatMap(([partition, { ledger, commit }]) => {
      const offset = ledger.takeCommittable();
      return offset === null || !commit ? [] : [{ partition, offset, ledger, commit }];
    });
    const partitions = due.map(({ partition, offset }) => ({ partition, offset }));
    await due[0]?.commit({ topics: [{ topic: this.topic, partitions }] }).catch((error: unknown) => {
      // Tried again at the next tick. In a rebalance it is no loss: the records come again and have no further effect.
      for (const { ledger, offset } of due) ledger.giveBack(offset);
      this.options.logger.debug({ err: error, partitions }, 'commit refused');
    });
  }

  private resumeLater(assignment: Assignment<Fact>, resumeFetching: () => void, waitMs: number): void {
    const { signal } = assignment.revoked;
    const resume = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', resume);
      assignment.paused = false;
      resumeFetching();
    };
    assignment.paused = true;
    const timer = setTimeout(resume, waitMs);
    signal.addEventListener('abort', resume, { once: true });
  }
}
