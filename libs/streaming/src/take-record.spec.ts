/** The outcome of one record with a worker, without a broker, and the counts that are kept. */
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { DeadLetter } from '#contracts/dead-letters.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { hourMs, retained, type Topic } from '#contracts/topic.js';
import { activeSpan } from '#service/spans.js';
import { DeadLetterOffice } from './dead-letter-office.js';
import type { Outcome } from './failure.js';
import type { StreamRecord } from './partition-worker.js';
import type { Publisher } from './publisher.js';
import { RecordTaker, Trying, type CrashMemory } from './take-record.js';

interface Note {
  id: string;
}
const topic: Topic<Note> = {
  noun: 'notes',
  version: 1,
  description: 'Notes of a test',
  producers: ['cli'],
  consumers: ['cli'],
  schema: z.object({ id: z.string() }),
  keySchema: z.string(),
  keyOf: ({ id }) => id,
  storage: retained(1, hourMs),
};

/** The surroundings of a RecordTaker, in memory. */
class Scene {
  readonly letters: DeadLetter[] = [];
  readonly memory: string[] = [];
  inHand = 0;
  deaths = 0;
  counts = true;
  publishes = true;
  private failures = 0;
  private readonly abort = new AbortController();
  private trying = new Trying('7');

  private readonly crashes: CrashMemory = {
    recover: () => Promise.resolve(),
    begin: (subject) => {
      this.memory.push(`begin ${subject}`);
      this.inHand++;
      return Promise.resolve({ refusedAfter: this.deaths, end: () => (this.inHand = 0) });
    },
    count: (subject) => {
      this.memory.push(`count ${subject}`);
      return this.counts ? Promise.resolve(++this.failures) : Promise.reject(new PipelineError('STORAGE_UNAVAILABLE', 'away'));
    },
    clearCount: (subject) => Promise.resolve(void this.memory.push(`clear ${subject}`)),
  };

  private readonly taker: RecordTaker<Note>;

  constructor() {
    const publish = (_topic: unknown, letter: DeadLetter): Promise<void> =>
      this.publishes ? Promise.resolve(void this.letters.push(letter)) : Promise.reject(new TypeError('the publisher is broken'));
    this.taker = new RecordTaker<Note>({
      topic,
      crashes: this.crashes,
      deadLetterOffice: new DeadLetterOffice({ publish } as unknown as Publisher, 'features'),
      subjectOf: ({ fact }) => (fact ? { utteranceId: fact.id, version: 'v1' } : {}),
      logger: pino({ level: 'silent' }),
    });
  }

  /** Starts another record, possibly with the same subject. */
  next(): void {
    this.trying = new Trying('8');
    this.failures = 0;
  }

  take(work: () => Promise<void>, value: string | Buffer = '{"id":"a"}', headers = {}): Promise<Outcome> {
    // A record lies under the key that its contents give.
    const key = /"id":"(\w+)"/.exec(value.toString())?.[1] ?? 'a';
    const origin = { topic: 'x.notes.v1', partition: 0, offset: '7', key: Buffer.from(key), value: Buffer.from(value) };
    const record: StreamRecord<Note> = { key, fact: null, origin, headers };
    return this.taker.take(record, { work, trying: this.trying, span: activeSpan(), signal: this.abort.signal });
  }

  endAssignment(): void {
    this.abort.abort();
  }
}

const bug = (): Promise<void> => Promise.reject(new TypeError('x is not a function'));

describe('a record', () => {
  it('is in hand only while it is taken, and then its count is cleared', async () => {
    const scene = new Scene();
    let during = 0;
    const outcome = await scene.take(() => Promise.resolve(void (during = scene.inHand)));
    expect([outcome.kind, during, scene.inHand]).toEqual(['taken', 1, 0]);
    expect(scene.memory).toEqual(['begin a|v1|', 'clear a|v1|']);
  });

  it('is counted before each retry, and becomes a dead letter at the third failure', async () => {
    const scene = new Scene();
    expect([(await scene.take(bug)).kind, (await scene.take(bug)).kind, (await scene.take(bug)).kind]).toEqual([
      'retry',
      'retry',
      'dead-letter',
    ]);
    expect(scene.inHand).toBe(0);
    expect(scene.letters).toMatchObject([{ code: 'UNKNOWN_REPEATED', utteranceId: 'a', version: 'v1' }]);
    expect(scene.memory.slice(-3)).toEqual(['begin a|v1|', 'count a|v1|', 'clear a|v1|']);
  });

  it('becomes a dead letter at the third failure even if the store does not count', async () => {
    const scene = new Scene();
    scene.counts = false;
    expect([(await scene.take(bug)).kind, (await scene.take(bug)).kind, (await scene.take(bug)).kind]).toEqual([
      'retry',
      'retry',
      'dead-letter',
    ]);
  });

  it('gets one try if its subject has failed three times before, until the subject is taken', async () => {
    const scene = new Scene();
    for (let time = 0; time < 3; time++) await scene.take(bug);
    scene.next();
    expect((await scene.take(bug)).kind).toBe('dead-letter');
    scene.next();
    expect((await scene.take(bug, '{"id":"another"}')).kind).toBe('retry');
    scene.next();
    expect((await scene.take(() => Promise.resolve())).kind).toBe('taken');
    scene.next();
    expect((await scene.take(bug)).kind).toBe('retry');
  });

  it('becomes a dead letter without a worker if the process died three times with it', async () => {
    const scene = new Scene();
    scene.deaths = 3;
    let seen = false;
    const outcome = await scene.take(() => Promise.resolve(void (seen = true)));
    expect([outcome.kind, seen]).toEqual(['dead-letter', false]);
    expect(scene.letters).toMatchObject([{ code: 'UNKNOWN_REPEATED', message: expect.stringContaining('3 times') as string }]);
  });

  it.each([
    ['no JSON', '{'],
    ['JSON of another shape', '{"id":1}'],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['200,000 brackets', '['.repeat(200_000) + ']'.repeat(200_000)],
  ])('of %s becomes a dead letter RECORD_INVALID at once, counted by its offset', async (_what, value) => {
    const scene = new Scene();
    expect((await scene.take(bug, value)).kind).toBe('dead-letter');
    expect(scene.letters).toMatchObject([{ code: 'RECORD_INVALID', origin: { offset: '7' } }]);
    expect(scene.memory).toEqual(['clear x.notes.v1/0/7']);
  });

  it('that replaces an undecodable batch becomes a dead letter with the reason', async () => {
    const scene = new Scene();
    await scene.take(bug, 'packed', { 'undertone-undecodable': Buffer.from('The records at offsets 1 to 7 cannot be decoded: zstd') });
    expect(scene.letters).toMatchObject([{ code: 'RECORD_INVALID', message: 'The records at offsets 1 to 7 cannot be decoded: zstd' }]);
  });

  it('ends the process if its dead letter cannot be written', async () => {
    const scene = new Scene();
    scene.publishes = false;
    const outcome = await scene.take(() => Promise.reject(new PipelineError('AUDIO_EMPTY', 'no samples')));
    expect(outcome).toMatchObject({ kind: 'stop', error: new TypeError('the publisher is broken') });
  });

  it('is left to the next member if it fails after its partition was lost', async () => {
    const scene = new Scene();
    const outcome = await scene.take(() => {
      scene.endAssignment();
      return bug();
    });
    expect(outcome.kind).toBe('taken');
    expect(scene.memory).toEqual(['begin a|v1|']);
    expect(scene.letters).toEqual([]);
  });

  it('keeps its count if a stop interrupts it', async () => {
    const scene = new Scene();
    const outcome = await scene.take(() => Promise.resolve(scene.endAssignment()));
    expect([outcome.kind, scene.inHand]).toEqual(['taken', 0]);
    expect(scene.memory).toEqual(['begin a|v1|']);
  });
});
