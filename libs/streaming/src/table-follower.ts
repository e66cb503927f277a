/**
 * Reads topics from their start and follows them: the way to rebuild state from compacted topics, and to watch.
 *
 * Delivery: every record that is there, in partition order, then all that come, each once: after an outage the reader
 * goes on where it was, so that no key goes back to an older fact. It never commits, so each start begins at the
 * beginning. Records that do not fit their schema are counted and skipped: they are not this reader's to dead-letter.
 * An error of a handler is a bug: `start` rejects with it, and later it ends the process.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Batch, Consumer, Kafka } from 'kafkajs';
import { topicName, type Topic } from '#contracts/topic.js';
import type { Logger } from '#service/logger.js';
import { retrying } from './retry.js';
import { runThroughOutages } from './run-through-outages.js';

export interface FollowedRecord {
  key: string | null;
  /** Null: a tombstone. */
  value: Buffer | null;
  partition: number;
  offset: string;
  timestampMs: number;
}

type Handler = (record: FollowedRecord) => void;

export class TableFollower {
  private readonly consumer: Consumer;
  private readonly groupId: string;
  private readonly handlers = new Map<string, Handler>();
  /** Per topic and partition, the offset at which the reader has seen all that was there at its start. */
  private readonly goal = new Map<string, bigint>();
  /** Per topic and partition, the offset to read next. */
  private readonly next = new Map<string, bigint>();
  private readonly stopped = new AbortController();
  private caughtUp!: () => void;
  private fail!: (error: unknown) => void;
  private readonly untilCaughtUp = new Promise<void>((resolve, reject) => {
    this.caughtUp = resolve;
    this.fail = reject;
  });
  skipped = 0;

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
      sessionTimeout: 10_000,
      heartbeatInterval: 1_000,
      allowAutoTopicCreation: false,
      retry: { retries: 180, maxRetryTime: 5_000, restartOnFailure: () => Promise.resolve(!this.stopped.signal.aborted) },
    });
  }

  /** @param onFact called with the parsed fact, or null for a tombstone */
  on<Fact>(topic: Topic<Fact>, onFact: (key: string, fact: Fact | null, record: FollowedRecord) => void): this {
    this.handlers.set(topicName(topic, this.topicPrefix), (record) => {
      if (record.value === null) return onFact(record.key ?? '', null, record);
      const parsed = topic.schema.safeParse(safeJson(record.value));
      if (parsed.success) return onFact(record.key ?? '', parsed.data, record);
      this.skipped++;
      this.logger.warn({ topic: topic.noun, key: record.key, offset: record.offset }, 'skipped a record that does not fit its schema');
    });
    return this;
  }

  /** Starts following; resolves when everything that was there at the start has been handled. */
  async start(): Promise<void> {
    await this.consumer.connect();
    // Topics that were made a moment ago may have no leader yet.
    await retrying(() => this.setGoals());
    await this.consumer.subscribe({ topics: [...this.handlers.keys()], fromBeginning: true });
    this.watchProgress();
    await runThroughOutages(this.consumer, {
      run: () => this.consumer.run({ autoCommit: false, eachBatch: ({ batch }) => this.takeBatch(batch) }),
      stopped: this.stopped.signal,
      onFatal: (error) => this.fail(error),
      logger: this.logger,
    });
    if (this.goal.size === 0) this.caughtUp();
    await this.untilCaughtUp;
    this.fail = (error) =>
      setImmediate(() => {
        throw error;
      });
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.consumer.disconnect();
    const admin = this.kafka.admin();
    await admin.connect();
    await admin.deleteGroups([this.groupId]).catch(() => undefined);
    await admin.disconnect();
  }

  private async takeBatch(batch: Batch): Promise<void> {
    try {
      this.handle(batch);
    } catch (error) {
      this.fail(error);
      // Read again, the record would fail again; nothing after it may be handled before it.
      await once(this.stopped.signal, 'abort');
    }
  }

  private handle({ topic, partition, messages }: Batch): void {
    const handler = this.handlers.get(topic);
    for (const message of messages) {
      handler?.({
        key: message.key?.toString() ?? null,
        value: message.value,
        partition,
        offset: message.offset,
        timestampMs: Number(message.timestamp),
      });
    }
  }

  private watchProgress(): void {
    const { events } = this.consumer;
    // Not in eachBatch, which is not called where compaction or a transaction left no record to show.
    this.consumer.on(events.END_BATCH_PROCESS, ({ payload: { topic, partition, lastOffset } }) =>
      this.reached(topic, partition, BigInt(lastOffset) + 1n),
    );
    // Nothing is committed, so that a member that joins again would begin at the beginning.
    this.consumer.on(events.GROUP_JOIN, ({ payload: { memberAssignment } }) => {
      for (const [topic, partitions] of Object.entries(memberAssignment)) {
        for (const partition of partitions) {
          const offset = this.next.get(`${topic}/${partition}`);
          if (offset !== undefined) this.consumer.seek({ topic, partition, offset: offset.toString() });
        }
      }
    });
  }

  private async setGoals(): Promise<void> {
    const admin = this.kafka.admin();
    await admin.connect();
    try {
      for (const topic of this.handlers.keys()) {
        for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
          if (BigInt(high) > BigInt(low)) this.goal.set(`${topic}/${partition}`, BigInt(high));
        }
      }
    } finally {
      await admin.disconnect();
    }
  }

  private reached(topic: string, partition: number, nextOffset: bigint): void {
    const name = `${topic}/${partition}`;
    this.next.set(name, nextOffset);
    const goal = this.goal.get(name);
    if (goal === undefined || nextOffset < goal) return;
    this.goal.delete(name);
    if (this.goal.size === 0) this.caughtUp();
  }
}

function safeJson(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString());
  } catch {
    return undefined;
  }
}
