/** The silent stall against a real broker: it is found, and nothing that is meant to wait is taken for one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { compacted, hourMs, retained } from '#contracts/topic.js';
import { freePorts } from '#embedded/free-ports.js';
import { EmbeddedKafka } from '#embedded/kafka-broker.js';
import { provisionAll } from '#embedded/provision.js';
import { Metrics } from '#service/metrics.js';
import { StallWatch, type WatchedConsumer } from '#streaming/stall-watch.js';
import { notes, noteTopic, silent, StreamUnderTest, until } from '../chaos/stream-under-test.js';

const limits = { intervalMs: 200, stallMs: 1_500, longestTakeMs: 1_500, outOfGroupMs: 4_000 };
/** Long enough for every limit to be passed twice over. */
const watchedMs = 5_000;

let stream: StreamUnderTest;
let watch: StallWatch;
let metrics: Metrics;
const closing: (() => Promise<unknown>)[] = [];

async function freshStream(brokers?: string[]): Promise<StreamUnderTest> {
  stream = new StreamUnderTest(noteTopic(retained(2, hourMs)), brokers);
  closing.push(() => stream.close());
  return stream.prepare();
}

function watching(...consumers: WatchedConsumer[]): StallWatch {
  metrics = new Metrics('test');
  watch = new StallWatch({ kafka: stream.kafka, consumers, metrics, logger: silent, ...limits });
  watch.start();
  closing.push(() => watch.stop());
  return watch;
}

/** @returns all that was said in the time */
async function saidWithin(durationMs: number): Promise<string[]> {
  const said = new Set<string>();
  for (const end = Date.now() + durationMs; Date.now() < end; await sleep(50)) said.add(watch.whyStalled() ?? '');
  said.delete('');
  return [...said];
}

const untilStalled = (): Promise<void> =>
  until(
    () => 'the stall to be found',
    () => watch.whyStalled() !== null,
  );

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe('a consumer that the client has paused behind our back', () => {
  it('is stalled while records wait, with its lag in the metrics, and alive again once it takes them', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(3));
    const consumer = await stream.consumer().start();
    await consumer.took(3);
    consumer.inner.pause([{ topic: stream.topicName }]);
    watching(consumer.consumer);
    expect(await saidWithin(watchedMs / 2)).toEqual([]);
    await stream.sendTo(0, ...notes(5, 3));
    await untilStalled();
    expect(watch.whyStalled()).toContain(`taken nothing from ${stream.topicName}/0`);
    expect(watch.whyStalled()).toContain('5 records wait');
    expect(await metrics.registry.metrics()).toContain(`undertone_test_consumer_lag_records{topic="${stream.topicName}"} 5`);
    consumer.inner.resume([{ topic: stream.topicName }]);
    await consumer.took(8);
    await until(
      () => 'life',
      () => watch.whyStalled() === null,
    );
  });

  it('is stalled also where it took nothing since it joined: the committed offset counts', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(4));
    const first = await stream.consumer().start();
    await first.took(4);
    await first.stop();
    const second = stream.consumer();
    second.inner.on(second.inner.events.GROUP_JOIN, () => second.inner.pause([{ topic: stream.topicName }]));
    watching(second.consumer);
    await second.start();
    expect(await saidWithin(watchedMs / 2)).toEqual([]);
    await stream.sendTo(0, ...notes(1));
    await untilStalled();
    expect(watch.whyStalled()).toContain('1 records wait');
  });

  it('is found where a table is followed', async () => {
    stream = new StreamUnderTest(noteTopic(compacted(1)));
    closing.push(() => stream.close());
    await stream.prepare();
    const follower = stream.follower().on(stream.topic, () => undefined);
    await stream.sendTo(0, ...notes(2));
    watching(follower);
    await follower.start();
    closing.push(() => follower.stop());
    expect(await saidWithin(watchedMs / 2)).toEqual([]);
    (follower as unknown as { consumer: { pause: (topics: { topic: string }[]) => void } }).consumer.pause([{ topic: stream.topicName }]);
    await stream.sendTo(0, ...notes(2));
    await untilStalled();
  });
});

describe('alive is a consumer', () => {
  it('whose record is tried again and again', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(3));
    const consumer = stream.consumer({
      take: () => {
        throw new PipelineError('STORAGE_UNAVAILABLE', 'the store is away');
      },
    });
    watching(consumer.consumer);
    await consumer.start();
    expect(await saidWithin(watchedMs)).toEqual([]);
    expect(consumer.retries).toBeGreaterThan(2);
  });

  it('that has settled nothing, but has taken all', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(3));
    const consumer = stream.consumer({ take: () => undefined });
    watching(consumer.consumer);
    await consumer.start();
    await consumer.took(3);
    expect(await saidWithin(watchedMs)).toEqual([]);
  });

  it('without a partition', async () => {
    await freshStream();
    const members = [stream.consumer(), stream.consumer(), stream.consumer()];
    watching(...members.map(({ consumer }) => consumer));
    for (const member of members) await member.start();
    expect(await saidWithin(watchedMs)).toEqual([]);
  });
});

describe('a record that is worked on', () => {
  it('may take its time, but not for ever', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(1));
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const consumer = stream.consumer({ take: () => finished });
    watching(consumer.consumer);
    await consumer.start();
    await untilStalled();
    expect(watch.whyStalled()).toContain('working on record 0');
    finish();
    await until(
      () => 'life',
      () => watch.whyStalled() === null,
    );
  });
});

describe('while the broker is away', () => {
  it('nobody is stalled, nor just after it has come back', async () => {
    const { kafka: install } = await provisionAll({ needKafka: true, needS3: false, needTensorflow: false, log: () => undefined });
    if (!install) throw new Error('there is no broker to kill');
    const folder = mkdtempSync(join(tmpdir(), 'undertone-stall-'));
    closing.push(async () => rmSync(folder, { recursive: true, force: true }));
    const [port = 0, controllerPort = 0] = await freePorts(2);
    const broker = new EmbeddedKafka({ install, dataDir: join(folder, 'kafka'), port, controllerPort });
    await broker.start();
    closing.push(() => broker.stop());
    await freshStream([broker.brokers]);
    const consumer = stream.consumer();
    watching(consumer.consumer);
    await consumer.start();
    await stream.sendTo(0, ...notes(2));
    await consumer.took(2);
    await broker.kill();
    expect(await saidWithin(watchedMs)).toEqual([]);
    await broker.start();
    const sending = stream.sendTo(0, ...notes(2, 2));
    expect(await saidWithin(watchedMs)).toEqual([]);
    await sending;
    await consumer.took(4);
  });
});
