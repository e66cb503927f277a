/** An event is a hint. Ingest asks the store for the current object, so wrong, repeated and late events do no harm. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bucketEvents } from '#contracts/bucket-events.js';
import { corpusKey } from '#contracts/object-keys.js';
import { utterances, type UtteranceIngested } from '#contracts/utterances.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower } from '#streaming/table-follower.js';
import { silent } from '../chaos/stream-under-test.js';
import { toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
let publisher: Publisher;
let follower: TableFollower;
const records: [id: string, record: UtteranceIngested | null][] = [];

async function prepare(settings: Record<string, string>): Promise<void> {
  pipeline = new RunningPipeline(settings);
  await pipeline.prepare();
  const kafka = kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-test', silent);
  publisher = new Publisher(kafka, pipeline.prefix);
  await publisher.connect();
  follower = new TableFollower(kafka, pipeline.prefix, 'hints', silent).on(utterances, (id, record) => records.push([id, record]));
  await follower.start();
}
beforeEach(() => {
  records.length = 0;
});
afterEach(async () => {
  await follower.stop();
  await publisher.close();
  await pipeline.close();
});

const recordsOf = (id: string): (UtteranceIngested | null)[] => records.filter(([each]) => each === id).map(([, record]) => record);

/** As AWS sends it. */
const eventOf = (path: string, { eventName = 'ObjectCreated:Put', size = 1, eTag = 'f'.repeat(32) } = {}): unknown => ({
  Records: [
    { eventSource: 'aws:s3', eventName, s3: { bucket: { name: pipeline.prefix }, object: { key: corpusKey('made', path), size, eTag } } },
  ],
});

describe('events', () => {
  // No listing runs that could correct the effect of wrong events.
  beforeEach(async () => {
    await prepare({ RECONCILE_INTERVAL: '3600' });
    pipeline.start('ingest');
    await pipeline.until('the listing at start', () => pipeline.logOf('ingest').includes('listed the bucket'));
  });

  it('give one record of the object in the store, even if they are wrong, repeated or late', async () => {
    const key = corpusKey('made', 'a.wav');
    const wav = toneWav();
    await pipeline.store.put(key, wav);
    const head = await pipeline.store.head(key);
    await publisher.publish(
      bucketEvents,
      eventOf('nothing-there.wav'),
      eventOf('a.wav'),
      eventOf('a.wav', { size: 2, eTag: '0'.repeat(32) }),
    );
    await publisher.publish(bucketEvents, eventOf('a.wav', { eventName: 'ObjectRemoved:Delete' }), eventOf('a.wav'));
    const answer = await fetch(`${pipeline.url('ingest')}/bucket-events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(eventOf('a.wav')),
    });
    expect(answer.status).toBe(202);
    await pipeline.until('all to be decided about', async () => {
      const metrics = await (await fetch(`${pipeline.url('ingest')}/metrics`)).text();
      const decided = [...metrics.matchAll(/^undertone_ingest_decisions_total\{[^}]*\} (\d+)/gm)].reduce(
        (sum, [, count]) => sum + Number(count),
        0,
      );
      return decided >= 6;
    });
    expect(recordsOf('made/a.wav')).toEqual([expect.objectContaining({ etag: head?.etag, sizeBytes: wav.byteLength, objectKey: key })]);
    expect(records.map(([id]) => id)).toEqual(['made/a.wav']);
  });

  it('of a real deletion give a tombstone, and the same bytes are ingested again after a new put', async () => {
    const key = corpusKey('made', 'a.wav');
    await pipeline.store.put(key, toneWav());
    await publisher.publish(bucketEvents, eventOf('a.wav'));
    await pipeline.until('a record', () => recordsOf('made/a.wav').length === 1);
    await pipeline.store.delete(key);
    await publisher.publish(bucketEvents, eventOf('a.wav', { eventName: 'ObjectRemoved:Delete' }));
    await pipeline.until('a tombstone', () => recordsOf('made/a.wav').length === 2);
    await pipeline.store.put(key, toneWav());
    await publisher.publish(bucketEvents, eventOf('a.wav'));
    await pipeline.until('a record again', () => recordsOf('made/a.wav').length === 3);
    const [first, tombstone, again] = recordsOf('made/a.wav');
    expect(tombstone).toBeNull();
    expect(again?.version).toBe(first?.version);
  });
});

describe('without any event', () => {
  it('a listing finds new objects, deleted objects, and the same bytes that were put again', async () => {
    await prepare({ RECONCILE_INTERVAL: '1' });
    const key = corpusKey('made', 'a.wav');
    pipeline.start('ingest');
    const wav = toneWav();
    for (const times of [1, 2, 3]) {
      await pipeline.store.put(key, wav);
      await pipeline.until(`record ${times}`, () => recordsOf('made/a.wav').length === 2 * times - 1);
      await pipeline.store.delete(key);
      await pipeline.until(`tombstone ${times}`, () => recordsOf('made/a.wav').length === 2 * times);
    }
    const [first, , second, , third] = recordsOf('made/a.wav').map((record) => record?.version);
    expect([second, third]).toEqual([first, first]);
    expect(recordsOf('made/a.wav').map((record) => record === null)).toEqual([false, true, false, true, false, true]);
  });
});
