/**
 * Reads topics from their start and follows them, to rebuild state from compacted topics or to watch.
 *
 * Delivery: it handles every present record in partition order, then all new ones, each once. After an outage it continues at its
 * position, so no key goes back to an older fact. It never commits. Each start begins at the first record, or at positions that the
 * caller kept together with its state.
 *
 * The file is a little longer than 300 lines: start, progress and stop share the state of one consumer.
 *
 * A record that does not match its schema, or on which a handler throws, is skipped: it is logged, counted and remembered, listeners
 * are called, and the follower continues. Otherwise such a record would end every start on a compacted topic. A handler should
 * check before it changes anything, because its changes before an error stay.
 */
import { randomUUID } from 'node:crypto';
import type { Batch, Consumer, Kafka } from 'kafkajs';
import { PipelineError } from '#contracts/pipeline-error.js';
import { topicName, type Topic } from '#contracts/topic.js';
import type { Logger } from '#service/logger.js';
import { atMost } from './at-most.js';
import { ConsumerPulse } from './consumer-pulse.js';
import { describeError } from './failure.js';
import { patientRetry } from './kafka-client.js';
import { parseRecord } from './parse-record.js';
import { retrying } from './retry.js';
import { runThroughOutages } from './run-through-outages.js';
import type { ConsumerActivity, WatchedConsumer } from './stall-watch.js';
import type { RecordHeaders } from './trace-headers.js';
import { refuseUndecodable } from './undecodable-batches.js';

export interface FollowedRecord {
  key: string | null;
  /** Null: a tombstone. */
  value: Buffer | null;
  partition: number;
  offset: string;
  timestampMs: number;
  headers: RecordHeaders | undefined;
}

/** Offset to read next in each partition, by the topic's full name. */
export type Positions = Record<string, Record<number, string>>;

/** A skipped record. */
export interface PassedOverRecord {
  /** Full name of the topic. */
  topic: string;
  record: FollowedRecord;
  /** RECORD_INVALID: the record does not match its schema. RECORD_NOT_APPLIED: the handler failed on it. */
  error: PipelineError;
}

/** @throws if the record cannot be applied */
type Handler = (record: FollowedRecord) => void;

/** Number of skipped records that are remembered. */
const rememberedAtMost = 20;

/** Time limit at stop, so that an outage of the broker does not block the end of the process. */
const partingMs = 1_500;

/** The wait ends when each of these offsets, by topic and partition, is next or past. */
interface Waiting {
  goals: Map<string, bigint>;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class TableFollower implements WatchedConsumer {
  readonly groupId: string;
  readonly commits = false;
  private readonly consumer: Consumer;
  private readonly pulse: ConsumerPulse;
  private readonly handlers = new Map<string, Handler>();
  private readonly waiting = new Set<Waiting>();
  /** Offset to read next, by topic and partition. */
  private readonly next = new Map<string, bigint>();
  private readonly stopped = new AbortController();
  private wasStarted = false;
  /** True once everything that was there at the start has been handled. */
  private isStarted = false;
  /** Number of skipped records. */
  skipped = 0;
  /** The newest skipped records. */
  readonly passedOver: PassedOverRecord[] = [];
  private readonly passedOverListeners: ((passed: PassedOverRecord) => void)[] = [];
  /** The last time for which everything is known to have been handled. */
  completeAtMs = 0;

  constructor(
    private readonly kafka: Kafka,
    private readonly topicPrefix: string,
    name: string,
    private readonly logger: Logger,
  ) {
    this.groupId = `${topicPrefix}.${name}.${randomUUID()}`;
    this.consumer = kafka.consumer({
      groupId: this.groupId,
      maxWaitTimeInMs: 200,
      // This is the only member of its group, so nobody waits for its partitions, and a handler may block for long.
      sessionTimeout: 30_000,
      heartbeatInterval: 1_000,
      allowAutoTopicCreation: false,
      retry: { ...patientRetry, restartOnFailure: () => Promise.resolve(!this.stopped.signal.aborted) },
    });
    this.pulse = new ConsumerPulse(this.consumer, { keepsPositions: true });
  }

  get topics(): string[] {
    return [...this.handlers.keys()];
  }

  activity(): ConsumerActivity | null {
    if (!this.wasStarted || this.stopped.signal.aborted) return null;
    const { memberAtMs, takenAtMs, partitions } = this.pulse;
    return {
      memberAtMs,
      takenAtMs,
      partitions: partitions.map(({ topic, partition }) => ({
        topic,
        partition,
        // Not the pulse's: it knows no position of a partition that has been quiet since a start at kept positions.
        position: this.next.get(`${topic}/${partition}`) ?? null,
        state: 'waiting',
        attempt: 0,
      })),
    };
  }

  /** @param onFact called with the parsed fact, or null for a tombstone. If it throws, the record is skipped. */
  on<Fact>(topic: Topic<Fact>, onFact: (key: string, fact: Fact | null, record: FollowedRecord) => void): this {
    this.handlers.set(topicName(topic, this.topicPrefix), (record) => {
      refuseUndecodable(record.headers);
      onFact(record.key ?? '', record.value === null ? null : parseRecord(topic, record.value, record.key), record);
    });
    return this;
  }

  /** @param listener called for each skipped record. It must not throw. */
  onPassedOver(listener: (passed: PassedOverRecord) => void): this {
    this.passedOverListeners.push(listener);
    return this;
  }

  /**
   * Starts following; resolves when everything that was there at the start has been handled.
   * @param from positions by {@link positions}; a partition that they lack is read from its first record
   */
  async start(from: Positions = {}): Promise<void> {
    this.wasStarted = true;
    await this.consumer.connect();
    const askedAtMs = Date.now();
    // New topics may have no leader yet.
    const ends = await retrying(() => this.fetchOffsets());
    for (const { name, topic, partition, low } of ends) this.next.set(name, BigInt(from[topic]?.[partition] ?? low));
    const untilCaughtUp = this.until(ends);
    untilCaughtUp.catch(() => undefined); // the promise may reject before anyone awaits it
    await this.consumer.subscribe({ topics: [...this.handlers.keys()], fromBeginning: true });
    this.watchProgress();
    await runThroughOutages(this.consumer, {
      run: () => this.consumer.run({ autoCommit: false, eachBatch: ({ batch }) => Promise.resolve(this.takeBatch(batch)) }),
      stopped: this.stopped.signal,
      onFatal: (error) => this.fail(error),
      logger: this.logger,
    });
    await untilCaughtUp;
    this.completeAtMs = askedAtMs;
    this.isStarted = true;
  }

  /** Resolves when everything that is there now has been handled. @throws if the follower is stopped before */
  async sync(): Promise<void> {
    const askedAtMs = Date.now();
    await this.until(await retrying(() => this.fetchOffsets(), { signal: this.stopped.signal }));
    this.completeAtMs = askedAtMs;
  }

  /** @returns the offsets to read next. All records before them, and no others, were handled. */
  positions(): Positions {
    const positions: Positions = {};
    for (const [name, offset] of this.next) {
      const at = name.lastIndexOf('/');
      (positions[name.slice(0, at)] ??= {})[Number(name.slice(at + 1))] = offset.toString();
    }
    return positions;
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    for (const { reject } of this.waiting) reject(new Error('The follower was stopped'));
    this.waiting.clear();
    await atMost(partingMs, this.consumer.disconnect());
    await atMost(partingMs, this.deleteGroup());
  }

  /** Deletes the consumer group, which nobody uses again. Otherwise the broker would keep it for a week. */
  private async deleteGroup(): Promise<void> {
    const admin = this.kafka.admin();
    await admin.connect();
    await admin.deleteGroups([this.groupId]).catch(() => undefined);
    await admin.disconnect();
  }

  private takeBatch({ topic, partition, messages }: Batch): void {
    const handler = this.handlers.get(topic);
    for (const message of messages) {
      const record: FollowedRecord = {
        key: message.key?.toString() ?? null,
        value: message.value,
        partition,
        offset: message.offset,
        timestampMs: Number(message.timestamp),
        headers: message.headers,
      };
      try {
        handler?.(record);
      } catch (error) {
        this.passOver(topic, record, error);
      }
      // Without an await in between: the caller's state and the positions must always belong together.
      this.next.set(`${topic}/${partition}`, BigInt(message.offset) + 1n);
    }
  }

  private passOver(topic: string, record: FollowedRecord, cause: unknown): void {
    const error =
      cause instanceof PipelineError && cause.code === 'RECORD_INVALID'
        ? cause
        : new PipelineError('RECORD_NOT_APPLIED', `The record could not be applied: ${describeError(cause)}`, { cause });
    const passed = { topic, record, error };
    this.skipped++;
    this.passedOver.push(passed);
    if (this.passedOver.length > rememberedAtMost) this.passedOver.shift();
    const { key, partition, offset } = record;
    const place = { topic, partition, offset, key, code: error.code };
    this.logger.warn(error.code === 'RECORD_INVALID' ? place : { ...place, err: cause }, `skipped a record: ${error.message}`);
    for (const listener of this.passedOverListeners) listener(passed);
  }

  private watchProgress(): void {
    const { events } = this.consumer;
    // eachBatch does not suit: it is not called if compaction or a transaction left no record.
    this.consumer.on(events.END_BATCH_PROCESS, ({ payload: { topic, partition, lastOffset } }) =>
      this.reached(topic, partition, BigInt(lastOffset) + 1n),
    );
    // Nothing is committed, so a member that rejoins would begin at the first record.
    this.consumer.on(events.GROUP_JOIN, ({ payload: { memberAssignment } }) => {
      for (const [topic, partitions] of Object.entries(memberAssignment)) {
        for (const partition of partitions) {
          const offset = this.next.get(`${topic}/${partition}`);
          if (offset !== undefined) this.consumer.seek({ topic, partition, offset: offset.toString() });
        }
      }
    });
  }

  /** Reads the present bounds of every partition. */
  private async fetchOffsets(): Promise<PartitionBounds[]> {
    const admin = this.kafka.admin();
    await admin.connect();
    try {
      const bounds: PartitionBounds[] = [];
      for (const topic of this.handlers.keys()) {
        for (const { partition, low, high } of await admin.fetchTopicOffsets(topic))
          bounds.push({ name: `${topic}/${partition}`, topic, partition, low, high });
      }
      return bounds;
    } finally {
      await admin.disconnect();
    }
  }

  private until(bounds: PartitionBounds[]): Promise<void> {
    // A partition whose records are all deleted has none to wait for.
    const ahead = bounds.filter(({ name, low, high }) => BigInt(high) > BigInt(low) && (this.next.get(name) ?? 0n) < BigInt(high));
    if (ahead.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.waiting.add({ goals: new Map(ahead.map(({ name, high }) => [name, BigInt(high)])), resolve, reject });
    });
  }

  private reached(topic: string, partition: number, nextOffset: bigint): void {
    const name = `${topic}/${partition}`;
    this.next.set(name, nextOffset);
    this.pulse.reached(topic, partition, nextOffset);
    for (const waiting of this.waiting) {
      const goal = waiting.goals.get(name);
      if (goal === undefined || nextOffset < goal) continue;
      waiting.goals.delete(name);
      if (waiting.goals.size > 0) continue;
      this.waiting.delete(waiting);
      waiting.resolve();
    }
  }

  private fail(error: unknown): void {
    if (this.isStarted)
      setImmediate(() => {
        throw error;
      });
    for (const { reject } of this.waiting) reject(error);
    this.waiting.clear();
  }
}

interface PartitionBounds {
  name: string;
  topic: string;
  partition: number;
  low: string;
  high: string;
}
