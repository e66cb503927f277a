/**
 * The consumer loop: one worker for each partition, and commits that never run ahead of effects. failure.ts decides the outcome of
 * a record on which a worker failed.
 *
 * A record that will be retried pauses its partition and ends the batch. Otherwise the client would fetch nothing for any partition
 * of the broker, and join no rebalance, because it waits for all batches of the last fetch.
 *
 * Delivery: at least once. A record comes again after a crash or a rebalance unless it and everything before it was settled and
 * committed. The position moves when a worker takes a record. The committed offset follows the {@link OffsetLedger}. Every (re)join
 * discards all workers, because the client then continues from the committed offsets; their unsettled records come again. Each
 * worker has to make its effects idempotent.
 */
import { once } from 'node:events';
import type { Consumer, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs';
import { topicName } from '#contracts/topic.js';
import type { Span } from '#service/spans.js';
import type { RecordOrigin } from './dead-letter-office.js';
import { Assignments, type Assignment } from './assignments.js';
import { atMost } from './at-most.js';
import { ConsumerPulse } from './consumer-pulse.js';
import { patientRetry } from './kafka-client.js';
import type { PartitionWorker, StreamRecord, WorkerContext } from './partition-worker.js';
import { inProcessSpan } from './record-spans.js';
import { retrying } from './retry.js';
import { runThroughOutages } from './run-through-outages.js';
import type { ConsumerActivity, WatchedConsumer } from './stall-watch.js';
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

const commitIntervalMs = 500;
const heartbeatIntervalMs = 1_000;
/**
 * The time for which the partitions of a killed process stay unassigned, while its replacement waits. It is the smallest value that
 * a broker allows by default (`group.min.session.timeout.ms`). A process whose main thread blocks for this long loses its
 * partitions, and its records come again. Heartbeats are sent while a worker has a record.
 */
const sessionTimeoutMs = 6_000;
/** The time for which a group waits for a member with a long recording in hand. Then the member is expelled, and the record comes again. */
const rebalanceTimeoutMs = 10_000;
/** At stop: the time for records in hand, then the time for taken records to become durable. Together they are below 20 s. */
const finishLimitMs = 4_000;
const drainLimitMs = 7_000;
/** The time for the last commit and for leaving the group, so that an outage of the broker does not block the stop. */
const partingMs = 1_500;
/** More partitions than any topic has: a batch that waits in the client's queue during a rejoin would become stale. */
const partitionsAtOnce = 64;

export class PartitionConsumer<Fact> implements WatchedConsumer {
  readonly commits = true;
  private readonly consumer: Consumer;
  private readonly pulse: ConsumerPulse;
  private readonly taker: RecordTaker<Fact>;
  private readonly topic: string;
  private readonly assignments: Assignments<Fact>;
  private commitTimer: NodeJS.Timeout | undefined;
  private committing: Promise<void> | undefined;
  private started = false;
  private readonly stopped = new AbortController();
  /** The running takes of the workers. */
  private readonly taking = new Set<Promise<void>>();
  /** Aborted when the consumer no longer waits for workers. */
  private readonly left = new AbortController();

  constructor(private readonly options: PartitionConsumerOptions<Fact>) {
    this.topic = topicName(options.topic, options.topicPrefix);
    this.taker = new RecordTaker(options);
    this.assignments = new Assignments(options.createWorker, options.crash);
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
    const partitions = this.pulse.partitions.map((place) => this.assignments.activityOf(place));
    return { memberAtMs, takenAtMs, partitions };
  }

  /** Resolves when the group is joined. */
  async start(): Promise<void> {
    this.started = true;
    await retrying(() => this.options.crashes.recover());
    const joined = new Promise<void>((resolve) => {
      this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload: { groupId, memberAssignment, duration } }) => {
        this.assignments.abandonAll();
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
   * Stops fetching, finishes or abandons the records in hand, drains the workers, commits and leaves the group. It does not wait for
   * work that takes too long (a recording of hours, an outage of the store); its records come again.
   */
  async stop(): Promise<void> {
    this.stopped.abort();
    if (this.commitTimer) this.consumer.pause([{ topic: this.topic }]);
    clearInterval(this.commitTimer);
    await atMost(finishLimitMs, Promise.allSettled(this.taking));
    await atMost(drainLimitMs, Promise.allSettled(this.assignments.workers.map((worker) => worker.drain())));
    await atMost(
      partingMs,
      Promise.resolve(this.committing).then(() => this.commit()),
    );
    this.assignments.abandonAll();
    this.left.abort();
    await atMost(partingMs, this.consumer.disconnect());
  }

  private async takeBatch(payload: EachBatchPayload): Promise<void> {
    const { batch, heartbeat, resolveOffset, isRunning } = payload;
    if (this.assignments.isOfBeforeJoin(batch)) return;
    const assignment = this.assignments.of(batch.partition);
    assignment.commit = payload.commitOffsetsIfNecessary;
    const { signal } = assignment.revoked;
    // The broker says that the group rebalances or has expelled this member. An immediate heartbeat would not be sent, so it could not tell.
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
        // The thrown error ends this batch, and its records come again.
        await heartbeat();
        if (lost) throw lost as Error;
      }
    } finally {
      clearInterval(beat);
    }
  }

  /** @returns null if the record is done; else the time to wait before the next try */
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
        // The next try may kill the process, so the settled records are committed first.
        if (trying.unknown > 0) await this.commit();
        return outcome.waitMs;
      case 'dead-letter':
        ledger.settle(offset);
        break;
      case 'stop':
        this.options.crash(outcome.error);
        // The process is ending; the batch must not pass this record.
        await once(signal, 'abort');
        break;
      case 'taken':
    }
    assignment.trying = undefined;
    return null;
  }

  /** The client leaves its group only when all batches are done, so a batch must not wait for a worker during a stop. */
  private async untilTakenOrLeft(taking: Promise<void>): Promise<void> {
    const { signal } = this.left;
    let leave: () => void = () => undefined;
    this.taking.add(taking);
    try {
      // Each record gets its own promise. A shared one would keep every record that ever waited for it in memory.
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

  /** Makes one commit at a time, so that an older offset is never committed after a newer one. */
  private commit(): Promise<void> {
    this.committing ??= this.assignments
      .commitSettled(this.topic)
      // The next tick tries again. In a rebalance a failed commit does no harm: the records come again without further effect.
      .catch((error: unknown) => this.options.logger.debug({ err: error }, 'commit refused'))
      .finally(() => {
        this.committing = undefined;
      });
    return this.committing;
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
