/** The requests of the publisher to the client, on which delivery depends. The test plays the client. */
import type { Kafka, ProducerBatch, ProducerConfig } from 'kafkajs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { hourMs, retained, type Topic } from '#contracts/topic.js';
import { evaluations } from '#contracts/evaluations.js';
import { utterances } from '#contracts/utterances.js';
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

test('uses neither transactions nor the client’s idempotence, waits for all replicas, and has one request in flight', async () => {
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

test.each([
  ['right after a call that had nothing to publish', [[], [1]]],
  ['between such calls', [[], [1], [], [2], []]],
  ['many in one turn', Array.from({ length: 20 }, (_, i) => (i % 3 === 0 ? [] : [i]))],
])('sends facts that are published %s', async (_, calls) => {
  const sent: unknown[] = [];
  const producer = {
    sendBatch: ({ topicMessages }: ProducerBatch) => {
      sent.push(...(topicMessages ?? []).flatMap(({ messages }) => messages.map(({ value }) => Number(value))));
      return Promise.resolve();
    },
  };
  const publisher = new Publisher({ producer: () => producer } as unknown as Kafka, 'test');
  await Promise.all(calls.map((facts) => publisher.publish(topic, ...facts)));
  expect(sent).toEqual(calls.flat());
});

test('sends facts that are published in any turn after an acknowledgement', async () => {
  const producer = { sendBatch: () => Promise.resolve() };
  const publisher = new Publisher({ producer: () => producer } as unknown as Kafka, 'test');
  for (let turns = 0; turns < 30; turns++) {
    const later = async (): Promise<void> => {
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      await publisher.publish(topic, 2);
    };
    await Promise.all([publisher.publish(topic, 1), later()]);
  }
});

test('sends a topic’s facts for its producers only: another party does not compile', () => {
  const publisher = new Publisher<'ingest'>({ producer: () => ({}) } as unknown as Kafka, 'test');
  const wrong = (): Promise<void> =>
    // @ts-expect-error evaluations are sent by the evaluator and the trainer
    publisher.publish(evaluations);
  const right = (): Promise<void> => publisher.publish(utterances);
  expect([wrong, right]).toHaveLength(2);
});
