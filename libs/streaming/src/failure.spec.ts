import { describe, expect, it } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { decideFailure, describeError, failureLimit, tooManyDeaths } from './failure.js';
import { Attempts } from './retry.js';

const decide = (error: unknown, unknown = 0, limitMs?: number): ReturnType<typeof decideFailure> =>
  decideFailure(error, { attempts: new Attempts(limitMs), unknown });

describe('decideFailure', () => {
  it('answers a permanent error with a dead letter at once', () => {
    const error = new PipelineError('AUDIO_EMPTY', 'no samples');
    expect(decide(error)).toEqual({ kind: 'dead-letter', error });
  });

  it('retries an outage, and after the limit writes a dead letter RETRIES_EXHAUSTED', () => {
    const error = new PipelineError('STORAGE_UNAVAILABLE', 'away');
    expect(decide(error)).toEqual({ kind: 'retry', waitMs: expect.any(Number) as number });
    expect(decide(error, 0, 0)).toMatchObject({ kind: 'dead-letter', error: { code: 'RETRIES_EXHAUSTED' } });
  });

  it('stops for an error that every record would meet', () => {
    const error = new PipelineError('CONFIG_INVALID', 'the store knows no such key');
    expect(decide(error)).toEqual({ kind: 'stop', error });
  });

  it.each([new TypeError('x is not a function'), new RangeError('Array buffer allocation failed'), 'a text', null])(
    'retries an unknown error with growing waits, and writes a dead letter at the third: %s',
    (error) => {
      const waits = [1, 2].map((unknown) => decide(error, unknown));
      expect(waits).toMatchObject([{ kind: 'retry' }, { kind: 'retry' }]);
      const [first, second] = waits.map((outcome) => (outcome.kind === 'retry' ? outcome.waitMs : 0)) as [number, number];
      expect(second).toBeGreaterThan(first);
      expect(decide(error, failureLimit)).toMatchObject({ kind: 'dead-letter', error: { code: 'UNKNOWN_REPEATED', cause: error } });
    },
  );

  it('puts the error and its location into the dead letter', () => {
    const outcome = decide(new TypeError('x is not a function'), failureLimit);
    const message = outcome.kind === 'dead-letter' ? outcome.error.message : '';
    expect(message).toMatch(
      /^An unknown error failed this record 3 times: TypeError: x is not a function; at .*libs\/streaming\/src\/failure\.spec\.ts:\d+/,
    );
  });
});

describe('describeError', () => {
  it('is short, and names no folder of the machine', () => {
    const error = new Error('y'.repeat(10_000));
    error.stack = `Error: y\n    at f (file:///home/somebody/undertone/dist/libs/a.js:1:2)\n    at g (/srv/x/node_modules/kafkajs/b.js:3:4)\n    at h (/srv/x/dist/c.js:5:6)\n    at i (d:1:1)`;
    const text = describeError(error);
    expect(text).toContain('; at f (dist/libs/a.js:1:2); at g (node_modules/kafkajs/b.js:3:4); at h (dist/c.js:5:6)');
    expect(text).not.toContain('somebody');
    expect(text).not.toContain('d:1:1');
    expect(text.length).toBeLessThan(1_200);
  });
});

describe('tooManyDeaths', () => {
  it('is a dead letter that says how to try again', () => {
    expect(tooManyDeaths(3)).toMatchObject({ kind: 'dead-letter', error: { code: 'UNKNOWN_REPEATED' } });
    expect(tooManyDeaths(3).error.message).toContain('replay');
  });
});
