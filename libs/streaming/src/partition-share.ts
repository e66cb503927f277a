/**
 * Shares work among the processes of a stage, by membership of a consumer group. The group reads no records: the partitions that
 * the broker assigns to a process stand for its share of the keys. If a process dies, the others get its share after 6 s.
 *
 * Does not fence: a process that was stopped and wakes up may finish what it had begun. The work must be idempotent.
 */
import type { Consumer, Kafka } from 'kafkajs';
import { topicName, type Topic } from '#contracts/topic.js';
import type { Logger } from '#service/logger.js';
import { atMost } from './at-most.js';
import { patientRetry } from './kafka-client.js';
import { runThroughOutages } from './run-through-outages.js';

export interface PartitionShareOptions {
  kafka: Kafka;
  /** The broker assigns the partitions of this topic. */
  topic: Topic<never> | Pick<Topic<unknown>, 'noun' | 'version' | 'storage'>;
  topicPrefix: string;
  groupId: string;
  logger: Logger;
  crash: (error: unknown) => void;
  /** Waits until this process knows what the former owners did. New partitions count as its own only after that. */
  beforeTaking: () => Promise<void>;
  /** Called after each change of the share. */
  onChange: () => void;
}

const sessionTimeoutMs = 6_000;
const partingMs = 1_500;

export class PartitionShare {
  private readonly consumer: Consumer;
  private readonly topic: string;
  private readonly stopped = new AbortController();
  private owned: ReadonlySet<number> = new Set();
  /** Number of assignments so far. */
  private turn = 0;

  constructor(private readonly options: PartitionShareOptions) {
    this.topic = topicName(options.topic, options.topicPrefix);
    this.consumer = options.kafka.consumer({
      groupId: options.groupId,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: sessionTimeoutMs,
      heartbeatInterval: 1_000,
      maxWaitTimeInMs: 500,
      allowAutoTopicCreation: false,
      retry: { ...patientRetry, restartOnFailure: () => Promise.resolve(!this.stopped.signal.aborted) },
    });
  }

  /** True if the key belongs to this process. */
  owns(key: string): boolean {
    return this.owned.has(shareOf(key, this.options.topic.storage.partitions));
  }

  get partitions(): number[] {
    return [...this.owned].sort((a, b) => a - b);
  }

  /** Resolves when the group is joined for the first time. */
  async start(): Promise<void> {
    const { logger, crash } = this.options;
    const { events } = this.consumer;
    const joined = new Promise<void>((resolve) => {
      this.consumer.on(events.GROUP_JOIN, ({ payload: { groupId, memberAssignment } }) => {
        this.consumer.pause([{ topic: this.topic }]); // nobody wants the records
        const partitions = memberAssignment[this.topic] ?? [];
        logger.info({ groupId, partitions }, 'took its share');
        this.take(partitions).then(resolve, (error: unknown) => {
          if (!this.stopped.signal.aborted) crash(error);
        });
      });
    });
    this.consumer.on(events.REBALANCING, () => this.hold([]));
    await this.consumer.connect();
    await this.consumer.subscribe({ topic: this.topic, fromBeginning: false });
    await runThroughOutages(this.consumer, {
      run: () => this.consumer.run({ autoCommit: false, eachBatch: () => Promise.resolve() }),
      stopped: this.stopped.signal,
      onFatal: crash,
      logger,
    });
    await joined;
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    this.owned = new Set();
    await atMost(partingMs, this.consumer.disconnect());
  }

  private async take(partitions: readonly number[]): Promise<void> {
    this.hold(partitions.filter((partition) => this.owned.has(partition)));
    const turn = this.turn;
    await this.options.beforeTaking();
    if (turn === this.turn) this.hold(partitions);
  }

  private hold(partitions: readonly number[]): void {
    this.turn++;
    this.owned = new Set(partitions);
    if (!this.stopped.signal.aborted) this.options.onChange();
  }
}

/** The same for every process (FNV-1a, 32 bits). */
export function shareOf(key: string, shares: number): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % shares;
}
