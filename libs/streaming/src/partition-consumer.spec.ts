/** Answers that cross a rebalance, which a single broker cannot show. The test plays the client. */
import type { EachBatchPayload, Kafka } from 'kafkajs';
import pino from 'pino';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { hourMs, retained, type Topic } from '#contracts/topic.js';
import type { DeadLetterOffice } from './dead-letter-office.js';
import { PartitionConsumer } from './partition-consumer.js';

const topic: Topic<number> = {
  noun: 'numbers',
  version: 1,
  description: 'Numbers of a test',
  producers: ['cli'],
  consumers: ['cli'],
  schema: z.number(),
  keySchema: z.string(),
  keyOf: String,
  storage: retained(1, hourMs),
};

/** A client whose joins and batches the test controls. `resolveOffset` moves its position. */
class PlayedClient {
  position = 0;
  committed = 0;
  private readonly listeners = new Map<string, ((event: unknown) => void)[]>();
  private eachBatch: ((payload: EachBatchPayload) => Promise<void>) | undefined;

  readonly kafka = {
    consumer: () => ({
      events: { GROUP_JOIN: 'join', HEARTBEAT: 'heartbeat', CRASH: 'crash', END_BATCH_PROCESS: 'end' },
      on: (name: string, listener: (event: unknown) => void) => this.listeners.set(name, [...(this.listeners.get(name) ?? []), listener]),
      connect: () => Promise.resolve(),
      subscribe: () => Promise.resolve(),
      pause: () => undefined,
      disconnect: () => Promise.resolve(),
      run: ({ eachBatch }: { eachBatch: (payload: EachBatchPayload) => Promise<void> }) => {
        this.eachBatch = eachBatch;
        this.join();
        return Promise.resolve();
      },
    }),
  } as unknown as Kafka;

  join(): void {
    this.position = this.committed;
    const payload = { groupId: 'g', memberAssignment: { 'x.numbers.v1': [0] }, duration: 0 };
    for (const listener of this.listeners.get('join') ?? []) listener({ payload });
  }

  async deliver(from: number, to: number): Promise<void> {
    const messages = Array.from({ length: to - from }, (_, n) => ({
      offset: String(from + n),
      key: Buffer.from(String(from + n)),
      value: Buffer.from(String(from + n)),
    }));
    await this.eachBatch?.({
      batch: { topic: 'x.numbers.v1', partition: 0, fetchedOffset: String(from), messages },
      heartbeat: () => Promise.resolve(),
      isRunning: () => true,
      resolveOffset: (offset: string) => (this.position = Number(offset) + 1),
      commitOffsetsIfNecessary: () => Promise.resolve(),
    } as unknown as EachBatchPayload);
  }
}

test('drops an answer that was requested before a rejoin, and skips no record before it', async () => {
  const client = new PlayedClient();
  const taken: number[] = [];
  const consumer = new PartitionConsumer({
    kafka: client.kafka,
    topic,
    topicPrefix: 'x',
    groupId: 'g',
    deadLetterOffice: {} as DeadLetterOffice,
    subjectOf: () => ({}),
    crashes: {
      recover: () => Promise.resolve(),
      begin: () => Promise.resolve({ refusedAfter: 0, end: () => undefined }),
      count: () => Promise.resolve(1),
      clearCount: () => Promise.resolve(),
    },
    crash: (error) => expect.unreachable(String(error)),
    logger: pino({ level: 'silent' }),
    createWorker: () => ({
      take: ({ fact }) => {
        taken.push(fact ?? -1);
        return Promise.resolve();
      },
      abandon: () => undefined,
      drain: () => Promise.resolve(),
    }),
  });
  await consumer.start();
  await client.deliver(0, 5);
  client.join();
  await client.deliver(5, 8);
  expect(client.position).toBe(0);
  await client.deliver(0, 8);
  expect(taken).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 7]);
  // If another member settled everything, the group may continue at the old position. Then the answer is taken at the second try.
  client.committed = 8;
  client.join();
  await client.deliver(8, 9);
  await client.deliver(8, 9);
  expect(taken.at(-1)).toBe(8);
  await consumer.stop();
});
