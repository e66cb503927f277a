/** How the client is asked to produce: what delivery leans on, and what it must not. The client is played here. */
import type { Kafka, ProducerBatch, ProducerConfig } from 'kafkajs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { hourMs, retained, type Topic } from '#contracts/topic.js';
import { Publisher } from './publisher.js';

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

test('it uses no transactions and no idempotence of the client, waits for all replicas, and has one request in flight', async () => {
  const configs: (ProducerConfig | undefined)[] = [];
  const requests: { acks: number | undefined; inFlight: number }[] = [];
  let inFlight = 0;
  const send = async (acks: number | undefined): Promise<void> => {
    requests.push({ acks, inFlight: ++inFlight });
    await new Promise((resolve) => setImmediate(resolve));
    inFlight--;
  };
  const producer = {
    connect: () => Promise.resolve(),
    sendBatch: ({ acks }: ProducerBatch) => send(acks),
    transaction: () => {
      throw new Error('a transaction');
    },
  };
  const kafka = {
    producer: (config?: ProducerConfig) => {
      configs.push(config);
      return producer;
    },
  };
  const publisher = new Publisher(kafka as unknown as Kafka, 'test');
  await publisher.connect();
  await Promise.all(Array.from({ length: 5 }, (_, i) => publisher.publish(topic, i)));
  await publisher.publish(topic, 6, 7);
  expect(configs).toHaveLength(1);
  expect(configs[0]?.transactionalId).toBeUndefined();
  expect(configs[0]?.idempotent ?? false).toBe(false);
  expect(requests.length).toBeGreaterThan(1);
  for (const request of requests) expect(request).toEqual({ acks: -1, inFlight: 1 });
});
