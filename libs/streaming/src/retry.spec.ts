import { afterEach, describe, expect, it, vi } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { Attempts, fateOf, isOutage, observeRetries, retrying } from './retry.js';

const unavailable = () => new PipelineError('STORAGE_UNAVAILABLE', 'the store is away');

describe('fateOf', () => {
  it('trusts the code of a pipeline error and knows nothing of others', () => {
    expect(fateOf(unavailable())).toBe('retryable');
    expect(fateOf(new PipelineError('AUDIO_EMPTY', 'no samples'))).toBe('permanent');
    expect(fateOf(new TypeError('x is not a function'))).toBe('unknown');
    expect(fateOf(Object.assign(new Error('leader moved'), { retriable: true }))).toBe('retryable');
    const noCoordinator = Object.assign(new Error('no coordinator'), { name: 'KafkaJSGroupCoordinatorNotFound', retriable: false });
    expect(fateOf(noCoordinator)).toBe('retryable');
    const wrapped = (cause: Error) =>
      Object.assign(new Error(cause.message, { cause }), { name: 'KafkaJSNonRetriableError', retriable: false });
    expect(fateOf(wrapped(noCoordinator)), 'as the client throws it when it has given up').toBe('retryable');
    expect(fateOf(wrapped(new TypeError('x is not a function')))).toBe('unknown');
  });
});

it('an outage says nothing of what was asked for, also once it has lasted too long', () => {
  const outages = [unavailable(), new PipelineError('RETRIES_EXHAUSTED', 'gave up'), new PipelineError('CHECKPOINT_INVALID', 'damaged')];
  expect(outages.map(isOutage)).toEqual([true, true, false]);
});

describe('retrying', () => {
  it('tries again until it succeeds', async () => {
    let calls = 0;
    const result = await retrying(() => (++calls < 3 ? Promise.reject(unavailable()) : Promise.resolve('there')));
    expect({ result, calls }).toEqual({ result: 'there', calls: 3 });
  });

  it('gives a permanent error back at once', async () => {
    let calls = 0;
    const work = () => {
      calls++;
      return Promise.reject(new PipelineError('AUDIO_EMPTY', 'no samples'));
    };
    await expect(retrying(work)).rejects.toMatchObject({ code: 'AUDIO_EMPTY' });
    expect(calls).toBe(1);
  });

  it('turns a retryable error into RETRIES_EXHAUSTED after the limit', async () => {
    await expect(retrying(() => Promise.reject(unavailable()), { limitMs: 0 })).rejects.toMatchObject({
      code: 'RETRIES_EXHAUSTED',
      fate: 'permanent',
    });
  });
});

describe('the tries of one piece of work', () => {
  afterEach(() => vi.useRealTimers());

  it("go on for as long as a disk is full: that is no record's fault", () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const attempts = new Attempts(0);
    vi.advanceTimersByTime(86_400_000);
    expect(attempts.waitAfter(new PipelineError('DISK_FULL_WAITING', 'the disk is full'))).toBeGreaterThan(0);
    expect(() => attempts.waitAfter(unavailable())).toThrow('Gave up');
  });

  it('go on for 15 minutes and no longer, with waits that grow, differ, and stay within 15 s', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const attempts = new Attempts();
    const waits = Array.from({ length: 200 }, () => attempts.waitAfter(unavailable()));
    expect(waits[0]).toBeLessThanOrEqual(220);
    expect(Math.max(...waits)).toBeGreaterThan(10_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(15_020);
    expect(new Set(waits).size, 'jitter').toBeGreaterThan(100);
    vi.advanceTimersByTime(15 * 60_000 - 1);
    expect(attempts.waitAfter(unavailable())).toBeGreaterThan(0);
    vi.advanceTimersByTime(1);
    expect(() => attempts.waitAfter(unavailable())).toThrow(expect.objectContaining({ code: 'RETRIES_EXHAUSTED', fate: 'permanent' }));
  });

  it('are not made for what cannot pass, or what nobody knows', () => {
    const attempts = new Attempts();
    for (const error of [new PipelineError('AUDIO_EMPTY', 'no samples'), new TypeError('x is not a function')]) {
      expect(() => attempts.waitAfter(error)).toThrow(error);
    }
    expect(attempts.failed).toBe(0);
  });
});

describe('observeRetries', () => {
  it('tells of each try again, and not of what cannot pass', () => {
    let seen = 0;
    observeRetries(() => seen++);
    const attempts = new Attempts();
    attempts.waitAfter(unavailable());
    new Attempts().waitAfter(unavailable());
    expect(seen).toBe(2);
    expect(() => attempts.waitAfter(new PipelineError('AUDIO_EMPTY', 'empty'))).toThrow();
    expect(() => new Attempts(0).waitAfter(unavailable())).toThrow('Gave up');
    expect(seen).toBe(2);
  });
});
