/** The silent stall against a real broker: the watch finds it, and never reports a consumer that waits by design. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { compacted, hourMs, retained } from '#contracts/topic.js';
import { freePorts } from '#embedded/free-ports.js';
import { EmbeddedKafka } from '#embedded/kafka-broker.js';
import { provisionAll } from '#embedded/provision.js';
import { Metrics } from '#service/metrics.js';
import { StallWatch, type WatchedConsumer } from '#streaming/stall-watch.js';
import { notes, noteTopic, silent, StreamUnderTest, until } from '../chaos/stream-under-test.js';

const limits = { intervalMs: 200, stallMs: 1_500, longestTakeMs: 1_500, outOfGroupMs: 4_000 };
/** Long enough to pass every limit twice. */
const watchedMs = 5_000;

/** The stream and the watch of one test. The tests run in parallel. */
class Scene {
  stream!: StreamUnderTest;
  watch!: StallWatch;
  metrics!: Metrics;
  private readonly closing: (() => Promise<unknown>)[] = [];

  async prepare(topic = noteTopic(retained(2, hourMs)), brokers?: string[]): Promise<StreamUnderTest> {
    this.stream = new StreamUnderTest(topic, brokers);
    this.atEnd(() => this.stream.close());
    return this.stream.prepare();
  }

  watching(...consumers: WatchedConsumer[]): void {
    this.metrics = new Metrics('test');
    this.watch = new StallWatch({ kafka: this.stream.kafka, consumers, metrics: this.metrics, logger: silent, ...limits });
    this.watch.start();
    this.atEnd(() => this.watch.stop());
  }

  /** @returns all reports in that time */
  async saidWithin(durationMs: number): Promise<string[]> {
    const said = new Set<string>();
    for (const end = Date.now() + durationMs; Date.now() < end; await sleep(50)) said.add(this.watch.whyStalled() ?? '');
    said.delete('');
    return [...said];
  }

  untilStalled(): Promise<void> {
    return until(
      () => 'the stall to be found',
      () => this.watch.whyStalled() !== null,
    );
  }

  untilAlive(): Promise<void> {
    return until(
      () => 'life',
      () => this.watch.whyStalled() === null,
    );
  }

  atEnd(close: () => Promise<unknown>): void {
    this.closing.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.closing.splice(0).reverse()) await close();
  }
}

const it = test.extend<{ scene: Scene }>({
  scene: async ({}, use) => {
    const scene = new Scene();
    await use(scene);
    await scene.close();
  },
});

describe.concurrent('a consumer that the client paused by itself', () => {
  it('is stalled while records wait, with its lag in the metrics, and alive again once it takes them', async ({ scene }) => {
    const stream = await scene.prepare();
    await stream.sendTo(0, ...notes(3));
    const consumer = await stream.consumer().start();
    await consumer.took(3);
    consumer.inner.pause([{ topic: stream.topicName }]);
    scene.watching(consumer.consumer);
    expect(await scene.saidWithin(watchedMs / 2)).toEqual([]);
    await stream.sendTo(0, ...notes(5, 3));
    await scene.untilStalled();
    expect(scene.watch.whyStalled()).toContain(`taken nothing from ${stream.topicName}/0`);
    expect(scene.watch.whyStalled()).toContain('5 records wait');
    expect(await scene.metrics.registry.metrics()).toContain(`undertone_test_consumer_lag_records{topic="${stream.topicName}"} 5`);
    consumer.inner.resume([{ topic: stream.topicName }]);
    await consumer.took(8);
    await scene.untilAlive();
  });

  it('is stalled also if it has taken no record since it joined, by its committed offset', async ({ scene }) => {
    const stream = await scene.prepare();
    await stream.sendTo(0, ...notes(4));
    const first = await stream.consumer().start();
    await first.took(4);
    await first.stop();
    const second = stream.consumer();
    second.inner.on(second.inner.events.GROUP_JOIN, () => second.inner.pause([{ topic: stream.topicName }]));
    scene.watching(second.consumer);
    await second.start();
    expect(await scene.saidWithin(watchedMs / 2)).toEqual([]);
    await stream.sendTo(0, ...notes(1));
    await scene.untilStalled();
    expect(scene.watch.whyStalled()).toContain('1 records wait');
  });

  it('is found in a table follower too', async ({ scene }) => {
    const stream = await scene.prepare(noteTopic(compacted(1)));
    const follower = stream.follower().on(stream.topic, () => undefined);
    await stream.sendTo(0, ...notes(2));
    scene.watching(follower);
    await follower.start();
    scene.atEnd(() => follower.stop());
    expect(await scene.saidWithin(watchedMs / 2)).toEqual([]);
    (follower as unknown as { consumer: { pause: (topics: { topic: string }[]) => void } }).consumer.pause([{ topic: stream.topicName }]);
    await stream.sendTo(0, ...notes(2));
    await scene.untilStalled();
  });
});

describe.concurrent('a consumer counts as alive', () => {
  it('while it retries a record', async ({ scene }) => {
    const stream = await scene.prepare();
    await stream.sendTo(0, ...notes(3));
    const consumer = stream.consumer({
      take: () => {
        throw new PipelineError('STORAGE_UNAVAILABLE', 'the store is away');
      },
    });
    scene.watching(consumer.consumer);
    await consumer.start();
    expect(await scene.saidWithin(watchedMs)).toEqual([]);
    expect(consumer.retries).toBeGreaterThan(2);
  });

  it('if it has taken all records and settled none', async ({ scene }) => {
    const stream = await scene.prepare();
    await stream.sendTo(0, ...notes(3));
    const consumer = stream.consumer({ take: () => undefined });
    scene.watching(consumer.consumer);
    await consumer.start();
    await consumer.took(3);
    expect(await scene.saidWithin(watchedMs)).toEqual([]);
  });

  it('without a partition', async ({ scene }) => {
    const stream = await scene.prepare();
    const members = [stream.consumer(), stream.consumer(), stream.consumer()];
    scene.watching(...members.map(({ consumer }) => consumer));
    for (const member of members) await member.start();
    expect(await scene.saidWithin(watchedMs)).toEqual([]);
  });
});

describe.concurrent('a record in work', () => {
  it('may take its time, but not for ever', async ({ scene }) => {
    const stream = await scene.prepare();
    await stream.sendTo(0, ...notes(1));
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const consumer = stream.consumer({ take: () => finished });
    scene.watching(consumer.consumer);
    await consumer.start();
    await scene.untilStalled();
    expect(scene.watch.whyStalled()).toContain('working on record 0');
    finish();
    await scene.untilAlive();
  });
});

describe('while the broker is away', () => {
  it('no consumer is stalled, nor just after the broker returns', async ({ scene }) => {
    const { kafka: install } = await provisionAll({ needKafka: true, needS3: false, needTensorflow: false, log: () => undefined });
    if (!install) throw new Error('there is no broker to kill');
    const folder = mkdtempSync(join(tmpdir(), 'undertone-stall-'));
    scene.atEnd(async () => rmSync(folder, { recursive: true, force: true }));
    const [port = 0, controllerPort = 0] = await freePorts(2);
    const broker = new EmbeddedKafka({ install, dataDir: join(folder, 'kafka'), port, controllerPort });
    await broker.start();
    scene.atEnd(() => broker.stop());
    const stream = await scene.prepare(undefined, [broker.brokers]);
    const consumer = stream.consumer();
    scene.watching(consumer.consumer);
    await consumer.start();
    await stream.sendTo(0, ...notes(2));
    await consumer.took(2);
    await broker.kill();
    expect(await scene.saidWithin(watchedMs)).toEqual([]);
    await broker.start();
    const sending = stream.sendTo(0, ...notes(2, 2));
    expect(await scene.saidWithin(watchedMs)).toEqual([]);
    await sending;
    await consumer.took(4);
  });
});
