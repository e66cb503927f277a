/** One small topic on a real broker, with publishers, consumers and followers, for the tests of libs/streaming. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { z } from 'zod';
import { deadLetters, type DeadLetter } from '#contracts/dead-letters.js';
import { hourMs, retained, topicName, type Topic, type TopicStorage } from '#contracts/topic.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { DeadLetterOffice, type Subject } from '#streaming/dead-letter-office.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { PartitionConsumer } from '#streaming/partition-consumer.js';
import type { CrashMemory } from '#streaming/take-record.js';
import type { PartitionWorker, StreamRecord, WorkerContext } from '#streaming/partition-worker.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower, type FollowedRecord } from '#streaming/table-follower.js';

export interface Note {
  id: string;
  n: number;
  text?: string | undefined;
}

/** A topic of notes; the key of a note is its id. */
export function noteTopic(storage: TopicStorage = retained(1, hourMs), noun = 'notes'): Topic<Note> {
  return {
    noun,
    version: 1,
    description: 'Notes of a test',
    producers: ['cli'],
    consumers: ['cli'],
    schema: z.object({ id: z.string().min(1), n: z.number().int(), text: z.string().optional() }),
    keySchema: z.string(),
    keyOf: (note) => note.id,
    storage,
  };
}

export const silent = pino({ level: 'silent' });
export const randomName = (): string => `test-${randomBytes(5).toString('hex')}`;
export const notes = (count: number, from = 0): Note[] => Array.from({ length: count }, (_, i) => ({ id: `k${from + i}`, n: from + i }));

/** @throws with the awaited condition after a minute */
export async function until(what: () => string, condition: () => boolean | Promise<boolean>, timeoutSec = 60): Promise<void> {
  const deadline = Date.now() + timeoutSec * 1000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${timeoutSec} s were not enough for ${what()}`);
    await sleep(20);
  }
}

type Kafka = ReturnType<typeof kafkaClient>;
export type Admin = ReturnType<Kafka['admin']>;

export class StreamUnderTest {
  readonly prefix = randomName();
  readonly group = `${this.prefix}.readers`;
  readonly kafka: Kafka;
  readonly publisher: Publisher;
  private readonly open: { stop(): Promise<void> }[] = [];

  constructor(
    readonly topic: Topic<Note>,
    brokers?: string[],
  ) {
    const environment = brokers ? { KAFKA_BROKERS: brokers.join(',') } : undefined;
    this.kafka = kafkaClient(readKafkaConnection(environment), 'undertone-test', silent);
    this.publisher = new Publisher(this.kafka, this.prefix);
  }

  get topicName(): string {
    return topicName(this.topic, this.prefix);
  }

  async prepare(): Promise<this> {
    await ensureTopics(this.kafka, [this.topic, deadLetters], this.prefix);
    await this.publisher.connect();
    return this;
  }

  /** Sends raw records without validation. */
  async sendRaw(...records: { key: string | null; value: string | Buffer | null; partition?: number }[]): Promise<void> {
    const producer = this.kafka.producer();
    await producer.connect();
    await producer.send({ topic: this.topicName, acks: -1, messages: records.map((record) => ({ partition: 0, ...record })) });
    await producer.disconnect();
  }

  /** Sends each note to its given partition. */
  async sendTo(partition: number, ...sent: Note[]): Promise<void> {
    await this.sendRaw(...sent.map((note) => ({ key: note.id, value: JSON.stringify(note), partition })));
  }

  async withAdmin<Result>(work: (admin: Admin) => Promise<Result>): Promise<Result> {
    const admin = this.kafka.admin();
    await admin.connect();
    try {
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  }

  /** The committed offsets of the group by partition; -1 without a commit. */
  async committed(): Promise<number[]> {
    const [found] = await this.withAdmin((admin) => admin.fetchOffsets({ groupId: this.group, topics: [this.topicName] }));
    return (found?.partitions ?? []).sort((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset));
  }

  /** The number of members of the group. */
  async members(): Promise<number> {
    const { groups } = await this.withAdmin((admin) => admin.describeGroups([this.group]));
    return groups[0]?.members.length ?? 0;
  }

  /** The consumer groups of this stream on the broker. */
  async groups(): Promise<string[]> {
    const { groups } = await this.withAdmin((admin) => admin.listGroups());
    return groups.map(({ groupId }) => groupId).filter((groupId) => groupId.startsWith(this.prefix));
  }

  /** All records of the topic, in partition order. */
  async readAll<Fact>(topic: Topic<Fact>): Promise<{ key: string; fact: Fact | null; record: FollowedRecord }[]> {
    const found: { key: string; fact: Fact | null; record: FollowedRecord }[] = [];
    const follower = this.follower().on(topic, (key, fact, record) => found.push({ key, fact, record }));
    await follower.start();
    await follower.stop();
    return found;
  }

  async readDeadLetters(): Promise<DeadLetter[]> {
    return (await this.readAll(deadLetters)).flatMap(({ fact }) => fact ?? []);
  }

  follower(name = 'table'): TableFollower {
    return new TableFollower(this.kafka, this.prefix, name, silent);
  }

  consumer(behaviour: Behaviour = {}): ConsumerUnderTest {
    const consumer = new ConsumerUnderTest(this, behaviour);
    this.open.push(consumer);
    return consumer;
  }

  async close(): Promise<void> {
    await Promise.all(this.open.map((each) => each.stop()));
    await this.publisher.close();
  }
}

export type NoteRecord = StreamRecord<Note>;

export interface Behaviour {
  /** The worker's handler of a record. Default: settle at once. */
  take?: (record: NoteRecord, context: WorkerContext) => Promise<void> | void;
  drain?: (context: WorkerContext) => Promise<void>;
  /** The store of failure counts. Default: in memory. */
  crashes?: CrashMemory;
  subjectOf?: (record: NoteRecord) => Subject;
}

/** Keeps failure counts in memory. */
export function crashesInMemory(): CrashMemory {
  const counts = new Map<string, number>();
  return {
    recover: () => Promise.resolve(),
    begin: () => Promise.resolve({ refusedAfter: 0, end: () => undefined }),
    count: (subject) => {
      counts.set(subject, (counts.get(subject) ?? 0) + 1);
      return Promise.resolve(counts.get(subject) ?? 0);
    },
    clearCount: (subject) => Promise.resolve(void counts.delete(subject)),
  };
}

/** A consumer of the group that records its events. */
export class ConsumerUnderTest {
  readonly taken: NoteRecord[] = [];
  /** `partition/offset` of records settled by workers that were not abandoned. */
  readonly settled = new Set<string>();
  readonly crashes: unknown[] = [];
  readonly workers: { context: WorkerContext; abandoned: boolean }[] = [];
  retries = 0;
  joins = 0;
  heartbeats = 0;
  readonly consumer: PartitionConsumer<Note>;
  /** Events of the Kafka client, which the consumer does not see itself. */
  inner!: ReturnType<Kafka['consumer']>;
  private stopped: Promise<void> | undefined;

  constructor(stream: StreamUnderTest, behaviour: Behaviour) {
    const { take = (record, { settle }) => settle(record.origin.offset), drain } = behaviour;
    const { crashes = crashesInMemory(), subjectOf = ({ key }) => ({ utteranceId: key ?? undefined }) } = behaviour;
    this.consumer = new PartitionConsumer<Note>({
      kafka: this.watched(stream.kafka),
      topic: stream.topic,
      topicPrefix: stream.prefix,
      groupId: stream.group,
      deadLetterOffice: new DeadLetterOffice(stream.publisher, 'features'),
      subjectOf,
      crashes,
      crash: (error) => this.crashes.push(error),
      logger: silent,
      onRetry: () => this.retries++,
      createWorker: (context) => this.worker(context, { take, drain }),
    });
  }

  async start(): Promise<this> {
    await this.consumer.start();
    return this;
  }

  stop(): Promise<void> {
    this.stopped ??= this.consumer.stop();
    return this.stopped;
  }

  get takenOffsets(): number[] {
    return this.taken.map(({ origin }) => Number(origin.offset));
  }

  get partitions(): number[] {
    return [...new Set(this.workers.filter(({ abandoned }) => !abandoned).map(({ context }) => context.partition))].sort();
  }

  /** Waits until the given number of records was taken. */
  async took(count: number): Promise<void> {
    await until(
      () => `${count} records; taken were ${this.taken.length}`,
      () => this.taken.length >= count,
    );
  }

  private worker(
    context: WorkerContext,
    { take, drain }: Pick<Behaviour, 'drain'> & Required<Pick<Behaviour, 'take'>>,
  ): PartitionWorker<Note> {
    const state = { context, abandoned: false };
    this.workers.push(state);
    const noted: WorkerContext = {
      ...context,
      settle: (offset) => {
        if (!state.abandoned) this.settled.add(`${context.partition}/${offset}`);
        context.settle(offset);
      },
    };
    return {
      take: async (record) => {
        this.taken.push(record);
        await take(record, noted);
      },
      abandon: () => {
        state.abandoned = true;
      },
      drain: () => drain?.(noted) ?? Promise.resolve(),
    };
  }

  /** The client, which counts joins and heartbeats of its consumers. */
  private watched(kafka: Kafka): Kafka {
    const consumer: Kafka['consumer'] = (config) => {
      const made = kafka.consumer(config);
      this.inner = made;
      made.on(made.events.GROUP_JOIN, () => this.joins++);
      made.on(made.events.HEARTBEAT, () => this.heartbeats++);
      return made;
    };
    return Object.create(kafka, { consumer: { value: consumer } }) as Kafka;
  }
}
