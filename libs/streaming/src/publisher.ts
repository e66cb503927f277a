/**
 * Publishes facts.
 *
 * Delivery: it waits for acknowledgements of all replicas, sends one request at a time, and does not use the client's idempotence.
 * With several requests in flight and idempotence on, acknowledged messages were lost when a broker was killed. This way none were
 * lost. A fact may come twice, which every consumer expects. A resolved promise means that the fact is durable.
 */
import { createRequire } from 'node:module';
import type { Kafka, Message, Producer } from 'kafkajs';
import { topicName, type Party, type Topic, type TopicIdentity } from '#contracts/topic.js';
import { inNoSpan, type Context, type SpanContext } from '#service/spans.js';
import { atMost } from './at-most.js';
import { beginPublish, type TraceOfRecord } from './record-spans.js';
import { utteranceHeaders } from './trace-headers.js';

const { Partitioners } = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs');
const maxMessagesPerRequest = 1_000;
const closingMs = 2_000;
const partingMs = 1_000;
/** Most bytes of a request. Its records of one partition form one batch, and a broker takes 1 MiB by default. */
const maxRequestBytes = 512 * 1024;

interface Waiting {
  topic: string;
  message: Message;
  resolve: () => void;
  reject: (reason: unknown) => void;
}

/** A topic that this party may send to. Where it may not, nothing is assignable, and the call does not compile. */
type SentBy<Sender, Producer> = Sender extends Producer ? unknown : never;

/** @typeParam Sender the party that publishes; its topics name it among their producers */
export class Publisher<Sender extends Party = Party> {
  private readonly producer: Producer;
  private waiting: Waiting[] = [];
  private isSending = false;
  private sent: Promise<void> = Promise.resolve();

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
  async publish<Fact, Producer extends Party>(
    topic: Topic<Fact, Producer> & SentBy<Sender, Producer>,
    ...facts: NoInfer<Fact>[]
  ): Promise<void> {
    await this.enqueue(topic, messagesOf(topic, facts), 'active');
  }

  /**
   * Like `publish`, for facts of different utterances: each fact begins a trace of its own, linked with the active one.
   * @param traceOf the trace that a fact continues instead
   */
  async publishApart<Fact, Producer extends Party>(
    topic: Topic<Fact, Producer> & SentBy<Sender, Producer>,
    facts: NoInfer<Fact>[],
    traceOf?: (fact: Fact) => Context | undefined,
  ): Promise<void> {
    const messages = messagesOf(topic, facts);
    await this.enqueue(topic, messages, (at) => traceOf?.(facts[at] as Fact) ?? 'own');
  }

  /** As `publish`, of facts that tell of many utterances. @param utterances their spans, in the order in which each fact names them */
  async publishAbout<Fact, Producer extends Party>(
    topic: Topic<Fact, Producer> & SentBy<Sender, Producer>,
    facts: NoInfer<Fact>[],
    utterances: readonly SpanContext[],
  ): Promise<void> {
    const headers = utteranceHeaders(utterances);
    await this.enqueue(
      topic,
      messagesOf(topic, facts).map((message) => ({ ...message, headers })),
      'active',
    );
  }

  /** Says that a key of a compacted topic is dead. */
  async tombstone<Producer extends Party>(
    topic: TopicIdentity & { producers: readonly Producer[] } & SentBy<Sender, Producer>,
    key: string,
  ): Promise<void> {
    await this.enqueue(topic, [{ key, value: null }], 'active');
  }

  /** Waits a few seconds for running requests. It does not wait longer, because the broker may be down. */
  async close(): Promise<void> {
    await atMost(closingMs, this.sent);
    await atMost(partingMs, this.producer.disconnect());
  }

  private async enqueue(
    declaration: TopicIdentity,
    messages: Message[],
    traceOf: TraceOfRecord | ((at: number) => TraceOfRecord),
  ): Promise<void> {
    const topic = topicName(declaration, this.topicPrefix);
    const acknowledged = messages.map((message, at) => {
      const place = { topic, key: message.key as string | null, isTombstone: message.value === null };
      const span = beginPublish(place, typeof traceOf === 'function' ? traceOf(at) : traceOf);
      const sent = span?.headers ? { ...message, headers: { ...message.headers, ...span.headers } } : message;
      const acknowledgement = new Promise<void>((resolve, reject) => this.waiting.push({ topic, message: sent, resolve, reject }));
      return span ? acknowledgement.then(() => span.end(), failing(span.end)) : acknowledgement;
    });
    // A request carries facts of many traces, so it belongs to none.
    if (!this.isSending) this.sent = inNoSpan(() => this.sendAll());
    await Promise.all(acknowledged);
  }

  /** Takes as many facts as fit a request. A too large fact goes alone, so that the broker refuses no other with it. */
  private countForRequest(): number {
    let sizeBytes = 0;
    const tooMany = this.waiting.findIndex(({ message }, at) => {
      sizeBytes += Buffer.byteLength(message.value ?? '') + Buffer.byteLength(message.key ?? '');
      return at === maxMessagesPerRequest || sizeBytes > maxRequestBytes;
    });
    return tooMany === -1 ? this.waiting.length : Math.max(1, tooMany);
  }

  /** Marks itself as ended in the same turn in which it finds the queue empty, so that the next call starts a new loop. */
  private async sendAll(): Promise<void> {
    this.isSending = true;
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
    this.isSending = false;
  }
}

const messagesOf = <Fact>(topic: Topic<Fact>, facts: readonly Fact[]): Message[] =>
  facts.map((fact) => ({ key: topic.keyOf(fact), value: JSON.stringify(topic.schema.parse(fact)) }));

const failing =
  (end: (error: unknown) => void) =>
  (error: unknown): never => {
    end(error);
    throw error;
  };
