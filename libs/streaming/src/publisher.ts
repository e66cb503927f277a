/**
 * Publishes facts.
 *
 * Delivery: acks from all replicas, one awaited request at a time, not idempotent. With several requests in flight and
 * the client's idempotence on, acknowledged messages were lost when a broker was killed; this way none was, and a fact
 * may come twice, which every consumer expects. A promise that resolved means that the fact is durable.
 */
import { createRequire } from 'node:module';
import type { Kafka, Message, Producer } from 'kafkajs';
import { topicName, type Topic, type TopicIdentity } from '#contracts/topic.js';
import { atMost } from './at-most.js';

const { Partitioners } = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs');
const maxMessagesPerRequest = 1_000;
const closingMs = 2_000;
const partingMs = 1_000;
/** What one request holds of a topic's partition is one batch to the broker, which takes 1 MiB unless told otherwise. */
const maxRequestBytes = 512 * 1024;

interface Waiting {
  topic: string;
  message: Message;
  resolve: () => void;
  reject: (reason: unknown) => void;
}

export class Publisher {
  private readonly producer: Producer;
  private waiting: Waiting[] = [];
  private sending: Promise<void> | undefined;

  constructor(
    kafka: Kafka,
    readonly topicPrefix: string,
  ) {
    this.producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: false });
  }

  async connect(): Promise<void> {
    await this.producer.connect();
  }

  /** Publishes in order; resolves when all are acknowledged by all replicas. */
  async publish<Fact>(topic: Topic<Fact>, ...facts: NoInfer<Fact>[]): Promise<void> {
    const messages = facts.map((fact) => ({ key: topic.keyOf(fact), value: JSON.stringify(topic.schema.parse(fact)) }));
    await this.enqueue(topicName(topic, this.topicPrefix), messages);
  }

  /** Says that a key of a compacted topic is dead. */
  async tombstone(topic: TopicIdentity, key: string): Promise<void> {
    await this.enqueue(topicName(topic, this.topicPrefix), [{ key, value: null }]);
  }

  /** What is under way has a few seconds to be acknowledged: with the broker away nobody could wait for it. */
  async close(): Promise<void> {
    await atMost(closingMs, this.sending);
    await atMost(partingMs, this.producer.disconnect());
  }

  private async enqueue(topic: string, messages: Message[]): Promise<void> {
    const acknowledged = messages.map(
      (message) => new Promise<void>((resolve, reject) => this.waiting.push({ topic, message, resolve, reject })),
    );
    this.sending ??= this.sendAll().finally(() => {
      this.sending = undefined;
    });
    await Promise.all(acknowledged);
  }

  /** As many as fit a request; one that is too large for any goes alone, so that no other is refused with it. */
  private countForRequest(): number {
    let sizeBytes = 0;
    const tooMany = this.waiting.findIndex(({ message }, at) => {
      sizeBytes += Buffer.byteLength(message.value ?? '') + Buffer.byteLength(message.key ?? '');
      return at === maxMessagesPerRequest || sizeBytes > maxRequestBytes;
    });
    return tooMany === -1 ? this.waiting.length : Math.max(1, tooMany);
  }

  private async sendAll(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, this.countForRequest());
      const byTopic = Map.groupBy(batch, (entry) => entry.topic);
      try {
        await this.producer.sendBatch({
          acks: -1,
          topicMessages: [...byTopic].map(([topic, entries]) => ({ topic, messages: entries.map((entry) => entry.message) })),
        });
        for (const entry of batch) entry.resolve();
      } catch (error) {
        for (const entry of batch) entry.reject(error);
      }
    }
  }
}
