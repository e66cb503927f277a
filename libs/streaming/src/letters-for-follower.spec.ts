import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '#contracts/dead-letters.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { DeadLetterOffice, lettersForFollower } from './dead-letter-office.js';
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

describe('lettersForFollower', () => {
  it('writes a letter with the unchanged record', () => {
    const letters: DeadLetter[] = [];
    lettersForFollower(officeOf(letters), 'x')(passed('x.utterances.v1'));
    expect(letters).toMatchObject([
      {
        stage: 'evaluator',
        code: 'RECORD_NOT_APPLIED',
        origin: { topic: 'x.utterances.v1', partition: 1, offset: '3', keyBase64: 'aw==', valueBase64: 'dg==' },
      },
    ]);
  });

  it('writes no letter about a letter, and a bounded number in all', () => {
    const letters: DeadLetter[] = [];
    const write = lettersForFollower(officeOf(letters), 'x');
    write(passed('x.dead-letters.v1'));
    expect(letters).toEqual([]);
    for (let offset = 0; offset < 10_000; offset++) write(passed('x.utterances.v1', String(offset)));
    expect(letters.length).toBeGreaterThan(10);
    expect(letters.length).toBeLessThan(1_000);
  });
});
