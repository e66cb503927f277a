/** The consumer loop against a real broker: commits, retries, dead letters and the assignment of partitions. */
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { hourMs, retained } from '#contracts/topic.js';
import { readStoreConnection } from '#service/connection-config.js';
import { CrashCounter } from '#storage/crash-counter.js';
import { ObjectStore, sha256Hex } from '#storage/object-store.js';
import { groupLag } from '#streaming/group-lag.js';
import { notes, noteTopic, randomName, silent, StreamUnderTest, until, type NoteRecord } from '../chaos/stream-under-test.js';

let stream: StreamUnderTest;

async function freshStream(partitions = 1): Promise<StreamUnderTest> {
  stream = new StreamUnderTest(noteTopic(retained(partitions, hourMs)));
  return stream.prepare();
}

afterEach(async () => stream.close());

const unavailable = (): PipelineError => new PipelineError('STORAGE_UNAVAILABLE', 'the store is away');
const offsetOf = (record: NoteRecord): number => Number(record.origin.offset);

/** A worker that fails on some records and settles the others. */
const brokenAt =
  (error: Error, ...offsets: number[]) =>
  (record: NoteRecord, { settle }: { settle: (offset: string) => void }): void => {
    if (offsets.includes(offsetOf(record))) throw error;
    settle(record.origin.offset);
  };

/** Promises that a test resolves one by one, to decide when a record's effect becomes durable. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

describe('commits', () => {
  it('end before the first unsettled record, in any order of settling', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(10));
    let settle: (offset: string) => void = () => undefined;
    const first = stream.consumer({ take: (_record, context) => void (settle = context.settle) });
    await first.start();
    await first.took(10);
    for (const offset of [7, 3, 4, 1, 9, 0, 2]) settle(String(offset));
    await first.stop();
    expect(await stream.committed()).toEqual([5]);
    const second = await stream.consumer().start();
    await second.took(5);
    await second.stop();
    expect(second.takenOffsets).toEqual([5, 6, 7, 8, 9]);
    expect(await stream.committed()).toEqual([10]);
  });

  it('follow records that settle later, also while no record comes', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(3));
    let settle: (offset: string) => void = () => undefined;
    const consumer = await stream.consumer({ take: (_record, context) => void (settle = context.settle) }).start();
    await consumer.took(3);
    for (const offset of [2, 1, 0]) settle(String(offset));
    await until(
      () => 'the commit',
      async () => (await stream.committed())[0] === 3,
    );
  });

  it('include drained records at stop, but no record that was only taken', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(6));
    const held: string[] = [];
    const consumer = stream.consumer({
      take: ({ origin }) => void held.push(origin.offset),
      drain: async ({ settle }) => {
        await new Promise((resolve) => setImmediate(resolve));
        for (const offset of held.slice(0, 4)) settle(offset);
      },
    });
    await consumer.start();
    await consumer.took(6);
    await consumer.stop();
    expect(await stream.committed()).toEqual([4]);
  });

  it('are made at stop while a record is being taken, and that record comes again', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(3));
    const { opened, open } = gate();
    const consumer = stream.consumer({
      take: async (record, { settle }) => {
        if (offsetOf(record) === 2) await opened;
        settle(record.origin.offset);
      },
    });
    await consumer.start();
    await consumer.took(3);
    const stopped = consumer.stop();
    await until(
      () => 'the commit',
      async () => (await stream.committed())[0] === 2,
    );
    open();
    await stopped;
    const second = await stream.consumer().start();
    await second.took(1);
    expect(second.takenOffsets).toEqual([2]);
  });

  it.each(['taken', 'drained'])('are made at stop, and the consumer leaves the group, although a record is never %s', async (what) => {
    await freshStream();
    await stream.sendTo(0, ...notes(3));
    const { opened, open } = gate();
    const consumer = stream.consumer({
      take: async (record, { settle }) => {
        if (offsetOf(record) === 2 && what === 'taken') await opened;
        if (offsetOf(record) < 2 || what === 'taken') settle(record.origin.offset);
      },
      drain: () => (what === 'drained' ? opened : Promise.resolve()),
    });
    await consumer.start();
    await consumer.took(3);
    await consumer.stop();
    expect(await stream.members()).toBe(0);
    open(); // too late
    expect(await stream.committed()).toEqual([2]);
    const second = await stream.consumer().start();
    await second.took(1);
    expect(second.takenOffsets).toEqual([2]);
    expect(consumer.crashes).toEqual([]);
  });
});

describe('a record', () => {
  it('with a permanent error becomes one unchanged dead letter, and the next record continues', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(3));
    const consumer = stream.consumer({
      take: (record, { settle }) => {
        if (offsetOf(record) === 1) throw new PipelineError('AUDIO_EMPTY', 'no samples');
        settle(record.origin.offset);
      },
    });
    await consumer.start();
    await consumer.took(3);
    await consumer.stop();
    expect(await stream.committed()).toEqual([3]);
    expect(consumer.takenOffsets).toEqual([0, 1, 2]);
    expect(await stream.readDeadLetters()).toEqual([
      {
        stage: 'features',
        code: 'AUDIO_EMPTY',
        message: 'no samples',
        utteranceId: 'k1',
        failedAt: expect.any(String) as string,
        origin: {
          topic: stream.topicName,
          partition: 0,
          offset: '1',
          keyBase64: Buffer.from('k1').toString('base64'),
          valueBase64: Buffer.from('{"id":"k1","n":1}').toString('base64'),
        },
      },
    ]);
  });

  it('that is not valid JSON or violates its schema becomes a dead letter RECORD_INVALID with its exact bytes', async () => {
    await freshStream();
    const bytes = Buffer.from([0xff, 0x00, 0x7b, 0xc3, 0x28]);
    await stream.sendRaw({ key: null, value: bytes }, { key: 'b', value: '{"id":"b","n":"one"}' }, { key: 'c', value: '' });
    await stream.sendTo(0, { id: 'good', n: 1 });
    const consumer = await stream.consumer().start();
    await consumer.took(1);
    await consumer.stop();
    expect(consumer.taken.map(({ fact }) => fact?.id)).toEqual(['good']);
    const letters = await stream.readDeadLetters();
    expect(letters.map(({ code, origin }) => [code, origin.offset, origin.keyBase64, origin.valueBase64])).toEqual([
      ['RECORD_INVALID', '0', null, bytes.toString('base64')],
      ['RECORD_INVALID', '1', 'Yg==', Buffer.from('{"id":"b","n":"one"}').toString('base64')],
      ['RECORD_INVALID', '2', 'Yw==', ''],
    ]);
    expect(await stream.committed()).toEqual([4]);
  });

  it('that is large becomes a small dead letter with its beginning, size and digest', async () => {
    await freshStream();
    const value = 'x'.repeat(4_500_000);
    await stream.sendRaw({ key: 'large', value });
    await stream.sendTo(0, { id: 'good', n: 1 });
    const consumer = await stream.consumer().start();
    await consumer.took(1);
    await consumer.stop();
    const [letter, ...others] = await stream.readDeadLetters();
    expect(others).toEqual([]);
    expect(letter).toMatchObject({ code: 'RECORD_INVALID', utteranceId: 'large', origin: { offset: '0' } });
    expect(letter?.origin.cut).toEqual({ valueSizeBytes: 4_500_000, valueSha256: sha256Hex(Buffer.from(value)) });
    expect(JSON.stringify(letter).length).toBeLessThan(30_000);
  });

  it('without a value reaches the worker as a tombstone', async () => {
    await freshStream();
    await stream.sendTo(0, { id: 'a', n: 1 });
    await stream.publisher.tombstone(stream.topic, 'a');
    const consumer = await stream.consumer().start();
    await consumer.took(2);
    expect(consumer.taken.map(({ key, fact }) => [key, fact])).toEqual([
      ['a', { id: 'a', n: 1 }],
      ['a', null],
    ]);
  });
});

describe('an error that may pass', () => {
  it('is retried in place and in order, with heartbeats beyond the session timeout, while other partitions continue', async () => {
    await freshStream(2);
    await stream.sendTo(0, ...notes(4));
    const sessionTimeoutMs = 6_000;
    let isAway = true;
    const consumer = stream.consumer({
      take: (record, { settle }) => {
        if (isAway && record.origin.partition === 0 && offsetOf(record) === 1) throw unavailable();
        settle(record.origin.offset);
      },
    });
    await consumer.start();
    await until(
      () => 'the first retry',
      () => consumer.retries > 0,
    );
    const awaySince = Date.now();
    let sent = 0;
    while (Date.now() - awaySince < sessionTimeoutMs + 1_000) {
      await stream.sendTo(1, ...notes(5, sent));
      sent += 5;
      await until(
        () => `partition 1 to go on; settled ${[...consumer.settled].join(' ')}`,
        () => consumer.settled.has(`1/${sent - 1}`),
        20,
      );
    }
    expect(consumer.settled).not.toContain('0/1');
    isAway = false;
    await until(
      () => 'the other records',
      () => consumer.settled.has('0/3'),
    );
    const ofFirst = consumer.taken.filter(({ origin }) => origin.partition === 0).map(offsetOf);
    expect(ofFirst.filter((offset, at) => offset !== ofFirst[at - 1])).toEqual([0, 1, 2, 3]);
    expect(ofFirst.length).toBeGreaterThan(5);
    expect(consumer.heartbeats).toBeGreaterThan(5);
    expect(consumer.joins).toBe(1);
    await consumer.stop();
    expect(await stream.committed()).toEqual([4, sent]);
    expect(await stream.readDeadLetters()).toEqual([]);
  });

  it('becomes permanent after 15 minutes of one record: a dead letter, then the commit, and the next record has 15 minutes', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(3));
    const now = performance.now.bind(performance);
    let laterMs = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + laterMs);
    onTestFinished(() => clock.mockRestore());
    let isAway = true;
    const consumer = stream.consumer({
      take: (record, { settle }) => {
        if (offsetOf(record) === 1 || (offsetOf(record) === 2 && isAway)) throw unavailable();
        settle(record.origin.offset);
      },
    });
    await consumer.start();
    await until(
      () => 'tries',
      () => consumer.retries >= 3,
    );
    laterMs = 14 * 60_000;
    const triedSoFar = consumer.retries;
    await until(
      () => 'tries after 14 minutes',
      () => consumer.retries >= triedSoFar + 1,
    );
    expect(await stream.committed()).toEqual([1]);
    laterMs = 15 * 60_000;
    await until(
      () => 'the next to be tried again',
      () => consumer.takenOffsets.filter((offset) => offset === 2).length >= 2,
    );
    isAway = false;
    await until(
      () => 'the next',
      () => consumer.settled.has('0/2'),
    );
    await consumer.stop();
    expect(await stream.committed()).toEqual([3]);
    expect((await stream.readDeadLetters()).map(({ code, utteranceId }) => [code, utteranceId])).toEqual([['RETRIES_EXHAUSTED', 'k1']]);
    expect(consumer.crashes).toEqual([]);
  });

  it('does not prevent a rebalance of the group', async () => {
    await freshStream(2);
    await stream.sendTo(0, ...notes(1));
    await stream.sendTo(1, ...notes(1));
    let isAway = true;
    const take = (record: NoteRecord, { settle }: { settle: (offset: string) => void }): void => {
      if (isAway) throw unavailable();
      settle(record.origin.offset);
    };
    const first = await stream.consumer({ take }).start();
    await until(
      () => 'long waits',
      () => first.retries >= 10,
    );
    const second = await stream.consumer({ take }).start();
    await second.took(1);
    isAway = false;
    await until(
      () => 'both records',
      () => first.settled.size === 1 && second.settled.size === 1,
    );
    expect([first.joins, second.joins]).toEqual([2, 1]);
  });

  it('does not prevent a consumer from stopping', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(2));
    const consumer = stream.consumer({
      take: () => {
        throw unavailable();
      },
    });
    await consumer.start();
    await until(
      () => 'a retry',
      () => consumer.retries >= 3,
    );
    await consumer.stop();
    expect(await stream.committed()).toEqual([-1]);
    expect(await stream.readDeadLetters()).toEqual([]);
  });
});

describe('an unknown error', () => {
  const broken = new TypeError('x is not a function');

  it('is retried in place, and the third failure is a dead letter with the cause', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(4));
    const consumer = await stream.consumer({ take: brokenAt(broken, 1) }).start();
    await consumer.took(6);
    await consumer.stop();
    expect(consumer.takenOffsets).toEqual([0, 1, 1, 1, 2, 3]);
    expect(consumer.crashes).toEqual([]);
    expect(await stream.committed()).toEqual([4]);
    const letters = await stream.readDeadLetters();
    expect(letters.map(({ code, origin }) => [code, origin.offset])).toEqual([['UNKNOWN_REPEATED', '1']]);
    expect(letters[0]?.message).toMatch(/^An unknown error failed this record 3 times: TypeError: x is not a function; at /);
  });

  it('is retried after the records before it are committed', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(3));
    const committedAtTries: (number | undefined)[] = [];
    const consumer = stream.consumer({
      take: async (record, { settle }) => {
        if (offsetOf(record) === 2) {
          committedAtTries.push((await stream.committed())[0]);
          throw broken;
        }
        settle(record.origin.offset);
      },
    });
    await consumer.start();
    await until(
      () => 'the letter',
      async () => (await stream.readDeadLetters()).length === 1,
    );
    expect(committedAtTries.slice(1)).toEqual([2, 2]);
  });

  it('counts for the object over restarts and new records', async () => {
    await freshStream();
    const store = new ObjectStore({ ...readStoreConnection(), bucket: randomName() });
    await store.ensureBucket();
    const process = (): ReturnType<StreamUnderTest['consumer']> =>
      stream.consumer({
        crashes: new CrashCounter({ store, topicPrefix: stream.prefix, stage: 'features', folder: null, logger: silent }),
        take: brokenAt(broken, 0, 1, 2),
      });
    const ofOneObject = { id: 'same', n: 1 };
    await stream.sendTo(0, ofOneObject);
    const first = await process().start();
    await first.took(1);
    await first.stop();
    // A listing hints at it again, as another record.
    await stream.sendTo(0, ofOneObject);
    const second = await process().start();
    await until(
      () => 'the letter',
      async () => (await stream.readDeadLetters()).length >= 1,
    );
    expect(second.taken.length).toBeLessThanOrEqual(3);
    expect((await stream.readDeadLetters())[0]).toMatchObject({ code: 'UNKNOWN_REPEATED', origin: { offset: '0' } });
    await second.stop();
    store.close();
  });

  it('on one partition does not delay another', async () => {
    await freshStream(2);
    await stream.sendTo(0, ...notes(2));
    await stream.sendTo(1, ...notes(5));
    const consumer = stream.consumer({
      take: (record, { settle }) => {
        if (record.origin.partition === 0 && offsetOf(record) === 0) throw broken;
        settle(record.origin.offset);
      },
    });
    await consumer.start();
    await until(
      () => 'all but the broken one',
      () => consumer.settled.has('1/4') && consumer.settled.has('0/1'),
    );
    expect(consumer.joins).toBe(1);
    expect(consumer.crashes).toEqual([]);
  });

  it('in naming a dead letter loses the name only', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(2));
    const consumer = stream.consumer({
      take: () => {
        throw new PipelineError('AUDIO_EMPTY', 'no samples');
      },
      subjectOf: () => {
        throw new Error('a bug of the stage');
      },
    });
    await consumer.start();
    await consumer.took(2);
    await consumer.stop();
    expect(consumer.crashes).toEqual([]);
    expect((await stream.readDeadLetters()).map(({ code, utteranceId }) => [code, utteranceId])).toEqual([
      ['AUDIO_EMPTY', undefined],
      ['AUDIO_EMPTY', undefined],
    ]);
  });
});

describe('an error that every record would meet', () => {
  it('ends the process without a commit past the record, and without a dead letter', async () => {
    await freshStream();
    await stream.sendTo(0, ...notes(3));
    const denied = new PipelineError('CONFIG_INVALID', 'the store knows no such access key');
    const consumer = await stream.consumer({ take: brokenAt(denied, 1) }).start();
    await until(
      () => 'the crash',
      () => consumer.crashes.length > 0,
    );
    await consumer.stop();
    expect(consumer.crashes).toEqual([denied]);
    expect(consumer.takenOffsets).toEqual([0, 1]);
    expect(await stream.committed()).toEqual([1]);
    expect(await stream.readDeadLetters()).toEqual([]);
  });
});

describe('a member that joins', () => {
  it('takes over partitions, and abandoned workers can no longer settle records', async () => {
    await freshStream(4);
    for (const partition of [0, 1, 2, 3]) await stream.sendTo(partition, ...notes(5));
    const late: (() => void)[] = [];
    const first = stream.consumer({ take: ({ origin }, { settle }) => void late.push(() => settle(origin.offset)) });
    await first.start();
    await first.took(20);
    const second = await stream.consumer({ take: () => undefined }).start();
    await until(
      () => `both to hold two partitions: ${first.partitions.join()} and ${second.partitions.join()}`,
      () => first.partitions.length === 2 && second.partitions.length === 2,
    );
    expect(first.workers.slice(0, 4).every(({ abandoned }) => abandoned)).toBe(true);
    // Includes abandoned workers of partitions that returned to the same member.
    for (const settle of late.splice(0, 20)) settle();
    await first.stop();
    await second.stop();
    expect(await stream.committed()).toEqual([-1, -1, -1, -1]);
  });

  it('or leaves loses no record', async () => {
    await freshStream(4);
    const total = 2_000;
    const take = async ({ origin }: NoteRecord, { settle }: { settle: (offset: string) => void }): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      settle(origin.offset);
    };
    const members = [await stream.consumer({ take }).start()];
    const publishing = (async () => {
      for (let sent = 0; sent < total; sent += 100) await stream.publisher.publish(stream.topic, ...notes(100, sent));
    })();
    members.push(await stream.consumer({ take }).start());
    members.push(await stream.consumer({ take }).start());
    await members[0]?.stop();
    await publishing;
    await until(
      () => 'no lag',
      async () => (await groupLag(stream.kafka, stream.group, stream.topicName)) === 0,
    );
    const written = (await stream.readAll(stream.topic)).map(({ record }) => `${record.partition}/${record.offset}`);
    expect(written).toHaveLength(total);
    const settled = new Set(members.flatMap((member) => [...member.settled]));
    expect(written.filter((each) => !settled.has(each))).toEqual([]);
  });
});
