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
import { ConsumerPulse } from './consumer-pulse.js';
import { patientRetry } from './kafka-client.js';
import { retrying } from './retry.js';
import type { ConsumerActivity, WatchedConsumer } from './stall-watch.js';

export interface FollowedRecord {
  key: string | null;
  /** Null: a tombstone. */
  value: Buffer | null;
  partition: number;
  offset: string;
  timestampMs: number;
}

type Handler = (record: FollowedRecord) => void;

export class TableFollower implements WatchedConsumer {
  readonly groupId: string;
  readonly commits = false;
  private readonly consumer: Consumer;
  private readonly pulse: ConsumerPulse;
  private readonly handlers = new Map<string, Handler>();
  /** Per topic and partition, the offset at which the reader has seen all that was there at its start. */
  private readonly goal = new Map<string, bigint>();
  /** Per topic and partition, the offset to read next. */
  private readonly next = new Map<string, bigint>();
  private readonly syncs = new Set<{ goal: Map<string, bigint>; resolve: () => void; reject: (error: Error) => void }>();
  private readonly stopped = new AbortController();
  private caughtUp!: () => void;
  private fail!: (error: unknown) => void;
  private readonly untilCaughtUp = new Promise<void>((resolve, reject) => {
    this.caughtUp = resolve;
    this.fail = reject;
  });
  private started = false;
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
      // Nobody waits for the partitions of this group's only member: it may stand still for as long as it needs to.
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
    if (!this.started || this.stopped.signal.aborted) return null;
    const { memberAtMs, takenAtMs, partitions } = this.pulse;
    return { memberAtMs, takenAtMs, partitions: partitions.map((place) => ({ ...place, state: 'waiting', attempt: 0 })) };
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
    this.started = true;
    await this.consumer.connect();
    // Topics that were made a moment ago may have no leader yet.
    for (const [name, offset] of await retrying(() => this.endOffsets())) this.goal.set(name, offset);
    await this.consumer.subscribe({ topics: [...this.handlers.keys()], fromBeginning: true });
    this.watchProgress();
    await this.consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        try {
          this.handle(batch);
        } catch (error) {
          this.fail(error);
          // Read again, the record would fail again; nothing after it may be handled before it.
          await once(this.stopped.signal, 'abort');
        }
      },
    });
    if (this.goal.size === 0) this.caughtUp();
    await this.untilCaughtUp;
    this.fail = (error) =>
      setImmediate(() => {
        throw error;
      });
  }

  /** Resolves when everything that is in the followed topics now has been handled. Only after `start`. */
  async sync(): Promise<void> {
    const goal = await retrying(() => this.endOffsets(), { signal: this.stopped.signal });
    for (const [name, offset] of goal) if ((this.next.get(name) ?? 0n) >= offset) goal.delete(name);
    if (goal.size === 0) return;
    if (this.stopped.signal.aborted) throw new Error('the follower was stopped');
    await new Promise<void>((resolve, reject) => this.syncs.add({ goal, resolve, reject }));
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    for (const { reject } of this.syncs) reject(new Error('the follower was stopped'));
    this.syncs.clear();
    await this.consumer.disconnect();
    const admin = this.kafka.admin();
    await admin.connect();
    await admin.deleteGroups([this.groupId]).catch(() => undefined);
    await admin.disconnect();
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
    this.consumer.on(events.CRASH, ({ payload }) => {
      if (!payload.restart && !this.stopped.signal.aborted) this.fail(payload.error);
    });
  }

  /** Of partitions that hold anything: topic and partition to the offset after the last record. */
  private async endOffsets(): Promise<Map<string, bigint>> {
    const ends = new Map<string, bigint>();
    const admin = this.kafka.admin();
    await admin.connect();
    try {
      for (const topic of this.handlers.keys()) {
        for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
          if (BigInt(high) > BigInt(low)) ends.set(`${topic}/${partition}`, BigInt(high));
        }
      }
      return ends;
    } finally {
      await admin.disconnect();
    }
  }

  private reached(topic: string, partition: number, nextOffset: bigint): void {
    const name = `${topic}/${partition}`;
    this.next.set(name, nextOffset);
    this.pulse.reached(topic, partition, nextOffset);
    for (const sync of this.syncs) {
      const wanted = sync.goal.get(name);
      if (wanted === undefined || nextOffset < wanted) continue;
      sync.goal.delete(name);
      if (sync.goal.size > 0) continue;
      this.syncs.delete(sync);
      sync.resolve();
    }
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
