/** The table follower against a real broker: it reads all existing records before it resolves, then new ones, and leaves no group behind. */
import { afterEach, describe, expect, it } from 'vitest';
import { compacted, hourMs, retained, type TopicStorage } from '#contracts/topic.js';
import type { TableFollower } from '#streaming/table-follower.js';
import { notes, noteTopic, StreamUnderTest, until, type Note } from '../chaos/stream-under-test.js';

let stream: StreamUnderTest;
const followers: TableFollower[] = [];

async function freshStream(storage: TopicStorage): Promise<StreamUnderTest> {
  stream = new StreamUnderTest(noteTopic(storage));
  return stream.prepare();
}

/** A follower that keeps the latest fact of each key. */
function tableOf(): { table: Map<string, number>; follower: TableFollower; seen: () => number } {
  const table = new Map<string, number>();
  let count = 0;
  const follower = stream.follower().on(stream.topic, (key: string, fact: Note | null) => {
    count++;
    if (fact) table.set(key, fact.n);
    else table.delete(key);
  });
  followers.push(follower);
  return { table, follower, seen: () => count };
}

afterEach(async () => {
  await Promise.all(followers.splice(0).map((follower) => follower.stop()));
  await stream.close();
});

describe('start', () => {
  it('resolves when all existing records are read, then follows; the latest fact of a key wins', async () => {
    await freshStream(compacted(4));
    for (let round = 0; round < 5; round++)
      await stream.publisher.publish(stream.topic, ...notes(600).map(({ id, n }) => ({ id, n: n + round * 1_000 })));
    await stream.publisher.tombstone(stream.topic, 'k7');
    const { table, follower } = tableOf();
    await follower.start();
    expect(table.size).toBe(599);
    expect(table.get('k599')).toBe(4_599);
    expect(table.has('k7')).toBe(false);
    await stream.publisher.publish(stream.topic, { id: 'k599', n: 1 }, { id: 'k7', n: 2 });
    await stream.publisher.tombstone(stream.topic, 'k0');
    await until(
      () => 'what came after',
      () => table.get('k599') === 1 && table.get('k7') === 2 && !table.has('k0'),
    );
  });

  it('resolves on an empty topic, and then follows', async () => {
    await freshStream(compacted(3));
    const { table, follower } = tableOf();
    await follower.start();
    expect(table.size).toBe(0);
    await stream.publisher.publish(stream.topic, ...notes(20));
    await until(
      () => 'the first facts',
      () => table.size === 20,
    );
  });

  it('resolves when some partitions are empty', async () => {
    await freshStream(compacted(4));
    await stream.sendTo(2, ...notes(3));
    const { table, follower } = tableOf();
    await follower.start();
    expect([...table.keys()]).toEqual(['k0', 'k1', 'k2']);
  });

  it('resolves on a topic whose records were all deleted', async () => {
    await freshStream(retained(1, hourMs));
    await stream.sendTo(0, ...notes(5));
    await stream.withAdmin(async (admin) => {
      await admin.fetchTopicOffsets(stream.topicName); // deleteTopicRecords wants to know the topic
      await admin.deleteTopicRecords({ topic: stream.topicName, partitions: [{ partition: 0, offset: '5' }] });
    });
    const { table, follower } = tableOf();
    await follower.start();
    expect(table.size).toBe(0);
    await stream.sendTo(0, { id: 'new', n: 1 });
    await until(
      () => 'a new fact',
      () => table.has('new'),
    );
  });

  it('resolves on a compacted topic with gaps that ends in a tombstone', async () => {
    await freshStream({ ...compacted(1), segmentMs: 100, deleteRetentionMs: 0 });
    await stream.withAdmin((admin) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: 2,
            name: stream.topicName,
            configEntries: [
              { name: 'cleanup.policy', value: 'compact' },
              { name: 'segment.ms', value: '100' },
              { name: 'delete.retention.ms', value: '0' },
              { name: 'min.cleanable.dirty.ratio', value: '0.01' },
            ],
          },
        ],
      }),
    );
    let written = 0;
    const write = async (): Promise<void> => {
      await stream.publisher.publish(stream.topic, ...notes(50).map(({ id, n }) => ({ id, n: n + written })));
      await stream.publisher.tombstone(stream.topic, 'k3');
      written += 51;
    };
    await write();
    await until(
      () => 'the broker to compact',
      async () => {
        await write();
        return (await stream.readAll(stream.topic)).length < written - 51;
      },
    );
    const { table, follower, seen } = tableOf();
    await follower.start();
    expect(seen()).toBeLessThan(written);
    expect(table.size).toBe(49);
    expect(table.get('k49')).toBe(49 + written - 51);
  });

  it.each([
    { before: 3, end: 'commit' },
    { before: 3, end: 'abort' },
    { before: 0, end: 'abort' },
  ] as const)('resolves on a topic that ends in the marker of a transaction ($end after $before facts)', async ({ before, end }) => {
    await freshStream(compacted(1));
    await stream.publisher.publish(stream.topic, ...notes(before));
    const producer = stream.kafka.producer({ transactionalId: stream.prefix, idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.send({ topic: stream.topicName, messages: [{ key: 'in', value: '{"id":"in","n":1}', partition: 0 }] });
    await transaction[end]();
    await producer.disconnect();
    const { table, follower } = tableOf();
    await follower.start();
    // The broker writes the marker after its answer, so the transaction may end while the reader starts.
    const wanted = [...notes(before).map(({ id }) => id), ...(end === 'commit' ? ['in'] : [])];
    await until(
      () => `${wanted.join()}; there are ${[...table.keys()].join()}`,
      () => table.size >= wanted.length,
    );
    expect([...table.keys()]).toEqual(wanted);
  });

  it('skips and counts invalid records', async () => {
    await freshStream(compacted(1));
    await stream.sendRaw({ key: 'a', value: 'no json' }, { key: 'b', value: '{"id":"b"}' }, { key: 'c', value: '{"id":"c","n":1}' });
    const { table, follower } = tableOf();
    await follower.start();
    expect([...table.keys()]).toEqual(['c']);
    expect(follower.skipped).toBe(2);
  });

  it('skips a record on which a handler throws, reports it, and continues', async () => {
    await freshStream(compacted(1));
    await stream.sendTo(0, ...notes(3));
    const seen: string[] = [];
    const heard: string[] = [];
    const follower = stream
      .follower()
      .on(stream.topic, (key) => {
        seen.push(key);
        if (key === 'k1') throw new TypeError('a bug of the reader');
      })
      .onPassedOver(({ topic, record, error }) => heard.push(`${topic} ${record.offset} ${error.code}`));
    followers.push(follower);
    await follower.start();
    expect(seen).toEqual(['k0', 'k1', 'k2']);
    expect(heard).toEqual([`${stream.topicName} 1 RECORD_NOT_APPLIED`]);
    expect(follower.passedOver[0]?.error.message).toMatch(/^The record could not be applied: TypeError: a bug of the reader; at /);
    await stream.sendTo(0, { id: 'k9', n: 9 });
    await until(
      () => 'what came after',
      () => seen.includes('k9'),
    );
  });

  it('skips JSON with too deep nesting', async () => {
    await freshStream(compacted(1));
    await stream.sendRaw({ key: 'a', value: '['.repeat(200_000) + ']'.repeat(200_000) }, { key: 'c', value: '{"id":"c","n":1}' });
    const { table, follower } = tableOf();
    await follower.start();
    expect([...table.keys()]).toEqual(['c']);
    expect(follower.passedOver[0]?.error.code).toBe('RECORD_INVALID');
  });
});

describe('start at positions that were kept', () => {
  it('knows that nothing waits, though no record has come since', async () => {
    await freshStream(compacted(2));
    await stream.publisher.publish(stream.topic, ...notes(20));
    const before = tableOf();
    await before.follower.start();
    const positions = before.follower.positions();
    const { follower, seen } = tableOf();
    await follower.start(positions);
    await until(
      () => 'the partitions to be assigned',
      () => follower.activity()?.partitions.length === 2,
    );
    const known = follower.activity()?.partitions.map(({ partition, position }) => [String(partition), position?.toString()]);
    expect(Object.fromEntries(known ?? [])).toEqual(positions[stream.topicName]);
    expect(seen()).toBe(0);
  });
});

describe('sync', () => {
  it('resolves when all records at the time of the call are handled, and at once without any', async () => {
    await freshStream(compacted(4));
    const { table, follower } = tableOf();
    await follower.start();
    await follower.sync();
    for (let round = 0; round < 20; round++) {
      await stream.publisher.publish(stream.topic, ...notes(50).map(({ id, n }) => ({ id, n: n + round * 1_000 })));
      await Promise.all([follower.sync(), follower.sync()]);
      expect([...table].every(([id, n]) => `k${n - round * 1_000}` === id)).toBe(true);
      expect(table.size).toBe(50);
    }
  });
});

describe('a follower whose group rebalances', () => {
  it('continues at its offset: it reads each record once, and no key returns to an older fact', async () => {
    await freshStream(compacted(2));
    await stream.publisher.publish(stream.topic, ...notes(100));
    const { table, follower, seen } = tableOf();
    await follower.start();
    const [groupId = ''] = await stream.groups();
    for (let round = 1; round <= 2; round++) {
      const intruder = stream.kafka.consumer({ groupId });
      await intruder.connect();
      await intruder.subscribe({ topic: stream.topicName, fromBeginning: true });
      const joined = new Promise((resolve) => intruder.on(intruder.events.GROUP_JOIN, resolve));
      await intruder.run({ autoCommit: false, eachMessage: () => Promise.resolve() });
      await joined;
      await stream.publisher.publish(stream.topic, ...notes(100).map(({ id, n }) => ({ id, n: n + round * 1_000 })));
      await intruder.disconnect();
      await until(
        () => `what came while the group was another's; seen are ${seen()}`,
        () => [...table].every(([id, n]) => `k${n - round * 1_000}` === id),
      );
    }
    expect(seen()).toBe(300);
  });
});

describe('stop', () => {
  it('leaves no consumer group behind', async () => {
    await freshStream(compacted(2));
    await stream.sendTo(0, ...notes(3));
    const { follower } = tableOf();
    await follower.start();
    expect(await stream.groups()).toHaveLength(1);
    await follower.stop();
    expect(await stream.groups()).toEqual([]);
  });
});
