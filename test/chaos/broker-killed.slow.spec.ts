/** kill -9 of the broker in the middle of a stream: no acknowledged record is lost, and all clients recover. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hourMs, retained } from '#contracts/topic.js';
import { freePorts } from '#embedded/free-ports.js';
import { EmbeddedKafka } from '#embedded/kafka-broker.js';
import { provisionAll } from '#embedded/provision.js';
import { groupLag } from '#streaming/group-lag.js';
import { putMadeCorpus } from '../integration/made-corpus.js';
import { RunningPipeline } from '../integration/running-pipeline.js';
import { notes, noteTopic, StreamUnderTest, until } from './stream-under-test.js';

const folder = mkdtempSync(join(tmpdir(), 'undertone-chaos-'));
let broker: EmbeddedKafka;

beforeAll(async () => {
  const { kafka: install } = await provisionAll({ needKafka: true, needS3: false, needTensorflow: false, log: () => undefined });
  const [port = 0, controllerPort = 0] = await freePorts(2);
  if (!install) throw new Error('This test must kill its own broker: unset KAFKA_BROKERS.');
  broker = new EmbeddedKafka({ install, dataDir: join(folder, 'kafka'), port, controllerPort });
  await broker.start();
});

afterAll(async () => {
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a broker killed twice in the middle of a stream', () => {
  it('loses no acknowledged fact, and publisher, consumer and follower recover by themselves', async () => {
    const stream = await new StreamUnderTest(noteTopic(retained(3, hourMs)), [broker.brokers]).prepare();
    const consumer = await stream.consumer().start();
    const followed: string[] = [];
    const follower = stream.follower().on(stream.topic, (_key, _fact, { partition, offset }) => followed.push(`${partition}/${offset}`));
    await follower.start();

    const acknowledged = new Set<number>();
    let isPublishing = true;
    let sent = 0;
    const publisher = async (): Promise<void> => {
      while (isPublishing) {
        const facts = notes(10, sent);
        sent += facts.length;
        await stream.publisher.publish(stream.topic, ...facts);
        for (const { n } of facts) acknowledged.add(n);
        await sleep(1);
      }
    };
    const publishing = Promise.all([publisher(), publisher(), publisher()]);
    const more = async (count: number): Promise<void> => {
      const wanted = acknowledged.size + count;
      await until(
        () => `${count} more to be acknowledged`,
        () => acknowledged.size >= wanted,
      );
    };
    for (let kill = 0; kill < 2; kill++) {
      await more(500);
      await broker.kill();
      await broker.start();
    }
    await more(500);
    isPublishing = false;
    await publishing;

    const written = await stream.readAll(stream.topic);
    const writtenNotes = new Set(written.map(({ fact }) => fact?.n));
    expect([...acknowledged].filter((n) => !writtenNotes.has(n))).toEqual([]);
    const duplicates = written.length - writtenNotes.size;
    expect(duplicates, 'facts that came twice').toBeLessThanOrEqual(2 * 30);

    const places = new Set(written.map(({ record }) => `${record.partition}/${record.offset}`));
    await until(
      () => `the consumer to settle all; it settled ${consumer.settled.size} of ${places.size}`,
      () => [...places].every((place) => consumer.settled.has(place)),
    );
    await until(
      () => 'all to be committed',
      async () => (await groupLag(stream.kafka, stream.group, stream.topicName)) === 0,
    );
    expect(consumer.crashes).toEqual([]);
    await until(
      () => `the follower to see all; it saw ${followed.length} of ${places.size}`,
      () => followed.length >= places.size,
    );
    expect(new Set(followed)).toEqual(places);
    expect(followed.length, 'records that the follower saw, each once').toBe(places.size);

    await follower.stop();
    await stream.close();
  });
});

describe('an unreachable broker', () => {
  it('does not prevent services from ending in time with 0', async () => {
    const pipeline = new RunningPipeline({ KAFKA_BROKERS: broker.brokers });
    await pipeline.prepare();
    const services = ['ingest', 'features', 'trainer', 'evaluator'] as const;
    pipeline.start(...services);
    await putMadeCorpus(pipeline.store, 'made', { speakers: 3, each: 1 });
    await pipeline.until('steps, with more to tell', () => pipeline.overview.snapshot().training.steps.length > 0, 200);
    await broker.kill();
    try {
      expect(await Promise.all(services.map((service) => pipeline.stopGently(service)))).toEqual([0, 0, 0, 0]);
    } finally {
      await broker.start();
      await pipeline.close();
    }
  });
});
