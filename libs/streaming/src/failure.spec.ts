import { describe, expect, it } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { decideFailure, describeError, failureLimit, tooManyDeaths } from './failure.js';
import { Attempts } from './retry.js';

const decide = (error: unknown, unknown = 0, limitMs?: number): ReturnType<typeof decideFailure> =>
  decideFailure(error, { attempts: new Attempts(limitMs), unknown });

describe('decideFailure', () => {
  it('makes a permanent error a dead letter at once', () => {
    const error = new PipelineError('AUDIO_EMPTY', 'no samples');
    expect(decide(error)).toEqual({ kind: 'dead-letter', error });
  });

  it('tries an outage again, and after its limit makes it a dead letter RETRIES_EXHAUSTED', () => {
    const error = new PipelineError('STORAGE_UNAVAILABLE', 'away');
    expect(decide(error)).toEqual({ kind: 'retry', waitMs: expect.any(Number) as number });
    expect(decide(error, 0, 0)).toMatchObject({ kind: 'dead-letter', error: { code: 'RETRIES_EXHAUSTED' } });
  });

  it('stops for an error that every other record would meet too', () => {
    const error = new PipelineError('CONFIG_INVALID', 'the store knows no such key');
    expect(decide(error)).toEqual({ kind: 'stop', error });
  });

  it.each([new TypeError('x is not a function'), new RangeError('Array buffer allocation failed'), 'a text', null])(
    'tries an error that nobody expected again with growing waits, and makes it a dead letter at the third: %s',
    (error) => {
      const waits = [1, 2].map((unknown) => decide(error, unknown));
      expect(waits).toMatchObject([{ kind: 'retry' }, { kind: 'retry' }]);
      const [first, second] = waits.map((outcome) => (outcome.kind === 'retry' ? outcome.waitMs : 0)) as [number, number];
      expect(second).toBeGreaterThan(first);
      expect(decide(error, failureLimit)).toMatchObject({ kind: 'dead-letter', error: { code: 'UNKNOWN_REPEATED', cause: error } });
    },
  );

  it('says in the dead letter what the error was, and where', () => {
    const outcome = decide(new TypeError('x is not a function'), failureLimit);
    const message = outcome.kind === 'dead-letter' ? outcome.error.message : '';
    expect(message).toMatch(
      /^Failed 3 times on this record: TypeError: x is not a function; at .*libs\/streaming\/src\/failure\.spec\.ts:\d+/,
    );
  });
});

describe('describeError', () => {
  it('names no folder of the machine and is short', () => {
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
  it('is a dead letter that says how it is tried again', () => {
    expect(tooManyDeaths(3)).toMatchObject({ kind: 'dead-letter', error: { code: 'UNKNOWN_REPEATED' } });
    expect(tooManyDeaths(3).error.message).toContain('replay');
  });
});
