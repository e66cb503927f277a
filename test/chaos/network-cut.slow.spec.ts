/** A network that is cut repeatedly, also while clients join a group: no client gives up, and no record is missed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hourMs, retained } from '#contracts/topic.js';
import { freePorts } from '#embedded/free-ports.js';
import { EmbeddedKafka } from '#embedded/kafka-broker.js';
import { provisionAll } from '#embedded/provision.js';
import { SeededRandom } from './seeded-random.js';
import { notes, noteTopic, StreamUnderTest, until } from './stream-under-test.js';
import { TcpProxy } from './tcp-proxy.js';

const folder = mkdtempSync(join(tmpdir(), 'undertone-chaos-'));
let broker: EmbeddedKafka;
let proxy: TcpProxy;
/** The API key in Kafka's protocol. */
const findCoordinator = 10;
/** The number of requests for a group's coordinator whose connection is cut. */
let lookupsToCut = 0;

beforeAll(async () => {
  const { kafka: install } = await provisionAll({ needKafka: true, needS3: false, needTensorflow: false, log: () => undefined });
  const [port = 0, controllerPort = 0, proxied = 0] = await freePorts(3);
  if (!install) throw new Error('This test must cut off its own broker: unset KAFKA_BROKERS.');
  const properties = { 'advertised.listeners': `PLAINTEXT://127.0.0.1:${proxied}` };
  broker = new EmbeddedKafka({ install, dataDir: join(folder, 'kafka'), port, controllerPort, properties });
  proxy = new TcpProxy(proxied, port, () => (direction, chunk) => {
    const isLookup = direction === 'toServer' && chunk.length > 6 && chunk.readInt16BE(4) === findCoordinator;
    if (!isLookup || lookupsToCut === 0) return;
    lookupsToCut--;
    proxy.cut();
  });
  await Promise.all([broker.start(), proxy.start()]);
});

afterAll(async () => {
  await proxy.stop();
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a network that is cut repeatedly', () => {
  it('ends no consumer and no follower, and hides no record from them', async () => {
    lookupsToCut = 3;
    const stream = await new StreamUnderTest(noteTopic(retained(3, hourMs)), [`127.0.0.1:${proxy.port}`]).prepare();
    const consumer = await stream.consumer().start();
    const followed = new Set<number>();
    const follower = stream.follower().on(stream.topic, (_key, fact) => fact && followed.add(fact.n));
    await follower.start();
    expect(lookupsToCut, 'lookups that were not cut').toBe(0);
    const random = new SeededRandom(6, 'cuts');
    const cuts = 15;
    for (let cut = 0; cut < cuts; cut++) {
      await stream.publisher.publish(stream.topic, ...notes(10, cut * 10));
      proxy.isRefusing = random.chance(0.5);
      proxy.cut();
      await sleep(random.between(50, 900)); // some fall on connections that are being made again
      proxy.cut();
      proxy.isRefusing = false;
      await sleep(random.between(0, 600));
    }
    await until(
      () => `all to be seen; the follower saw ${followed.size}, the consumer ${consumer.taken.length}`,
      () => followed.size === cuts * 10 && new Set(consumer.taken.map(({ fact }) => fact?.n)).size === cuts * 10,
      120,
    );
    expect(consumer.crashes).toEqual([]);
    await follower.stop();
    await stream.close();
  });
});
