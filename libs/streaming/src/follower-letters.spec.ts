import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '#contracts/dead-letters.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { DeadLetterOffice } from './dead-letter-office.js';
import { FollowerLetters } from './follower-letters.js';
import type { Publisher } from './publisher.js';
import type { PassedOverRecord } from './table-follower.js';

function officeOf(letters: DeadLetter[]): DeadLetterOffice {
  const publish = (_topic: unknown, letter: DeadLetter): Promise<void> => Promise.resolve(void letters.push(letter));
  return new DeadLetterOffice({ publish } as unknown as Publisher, 'evaluator');
}

const passed = (topic: string, offset = '3'): PassedOverRecord => ({
  topic,
  record: { key: 'k', value: Buffer.from('v'), partition: 1, offset, timestampMs: 0, headers: undefined },
  error: new PipelineError('RECORD_NOT_APPLIED', 'The record could not be applied'),
});

/** One run of a process: it reads the earlier letters in any order with the records, and then starts. */
function run(letters: DeadLetter[], records: PassedOverRecord[]): FollowerLetters {
  const earlier = [...letters];
  const follower = new FollowerLetters(officeOf(letters), 'x');
  for (const record of records) follower.passedOver(record);
  for (const letter of earlier) follower.note(letter);
  follower.start();
  return follower;
}

describe('the letters about records that a follower skips', () => {
  it('hold the unchanged record, and are written once it has read all', () => {
    const letters: DeadLetter[] = [];
    const follower = new FollowerLetters(officeOf(letters), 'x');
    follower.passedOver(passed('x.utterances.v1'));
    expect(letters).toEqual([]);
    follower.start();
    expect(letters).toMatchObject([
      {
        stage: 'evaluator',
        code: 'RECORD_NOT_APPLIED',
        origin: { topic: 'x.utterances.v1', partition: 1, offset: '3', keyBase64: 'aw==', valueBase64: 'dg==' },
      },
    ]);
  });

  it('are not written again for the same records after a restart, only for new ones', () => {
    const letters: DeadLetter[] = [];
    const bad = ['3', '7'].map((offset) => passed('x.utterances.v1', offset));
    run(letters, bad);
    expect(letters).toHaveLength(2);
    run(letters, bad);
    expect(letters).toHaveLength(2);
    const third = run(letters, [...bad, passed('x.utterances.v1', '9'), passed('x.training.v1', '3')]);
    expect(letters.slice(2).map(({ origin }) => `${origin.topic}/${origin.offset}`)).toEqual(['x.utterances.v1/9', 'x.training.v1/3']);
    for (const record of bad) third.passedOver(record); // read again after a rebalance
    third.passedOver(passed('x.utterances.v1', '11'));
    expect(letters).toHaveLength(5);
  });

  it('of another stage do not stand for its own', () => {
    const letters: DeadLetter[] = [];
    run(letters, [passed('x.utterances.v1')]);
    const own: DeadLetter[] = letters.map((letter) => ({ ...letter, stage: 'ingest' }));
    run(own, [passed('x.utterances.v1')]);
    expect(own.map(({ stage }) => stage)).toEqual(['ingest', 'evaluator']);
  });

  it('are not about letters, and are limited in number', () => {
    const letters: DeadLetter[] = [];
    const follower = run(letters, [passed('x.dead-letters.v1')]);
    expect(letters).toEqual([]);
    for (let offset = 0; offset < 10_000; offset++) follower.passedOver(passed('x.utterances.v1', String(offset)));
    expect(letters.length).toBeGreaterThan(10);
    expect(letters.length).toBeLessThan(1_000);
  });
});
