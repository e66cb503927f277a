import { afterEach, describe, expect, it, vi } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { Attempts, fateOf, isOutage, observeRetries, retrying } from './retry.js';

const unavailable = () => new PipelineError('STORAGE_UNAVAILABLE', 'the store is away');

describe('fateOf', () => {
  it('follows the code of a pipeline error, and treats other errors as unknown', () => {
    expect(fateOf(unavailable())).toBe('retryable');
    expect(fateOf(new PipelineError('AUDIO_EMPTY', 'no samples'))).toBe('permanent');
    expect(fateOf(new TypeError('x is not a function'))).toBe('unknown');
    expect(fateOf(Object.assign(new Error('leader moved'), { retriable: true }))).toBe('retryable');
    const noCoordinator = Object.assign(new Error('no coordinator'), { name: 'KafkaJSGroupCoordinatorNotFound', retriable: false });
    expect(fateOf(noCoordinator)).toBe('retryable');
    const wrapped = (cause: Error) =>
      Object.assign(new Error(cause.message, { cause }), { name: 'KafkaJSNonRetriableError', retriable: false });
    expect(fateOf(wrapped(noCoordinator)), 'wrapped, as the client throws it after its last try').toBe('retryable');
    expect(fateOf(wrapped(new TypeError('x is not a function')))).toBe('unknown');
  });
});

it('recognises an outage, also after it has lasted too long', () => {
  const outages = [unavailable(), new PipelineError('RETRIES_EXHAUSTED', 'gave up'), new PipelineError('CHECKPOINT_INVALID', 'damaged')];
  expect(outages.map(isOutage)).toEqual([true, true, false]);
});

describe('retrying', () => {
  it('retries until it succeeds', async () => {
    let calls = 0;
    const result = await retrying(() => (++calls < 3 ? Promise.reject(unavailable()) : Promise.resolve('there')));
    expect({ result, calls }).toEqual({ result: 'there', calls: 3 });
  });

  it('throws a permanent error at once', async () => {
    let calls = 0;
    const work = () => {
      calls++;
      return Promise.reject(new PipelineError('AUDIO_EMPTY', 'no samples'));
    };
    await expect(retrying(work)).rejects.toMatchObject({ code: 'AUDIO_EMPTY' });
    expect(calls).toBe(1);
  });

  it('throws RETRIES_EXHAUSTED after the limit', async () => {
    await expect(retrying(() => Promise.reject(unavailable()), { limitMs: 0 })).rejects.toMatchObject({
      code: 'RETRIES_EXHAUSTED',
      fate: 'permanent',
    });
  });
});

describe('the retries of one piece of work', () => {
  afterEach(() => vi.useRealTimers());

  it("go on while a disk is full, because that is no record's fault", () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const attempts = new Attempts(0);
    vi.advanceTimersByTime(86_400_000);
    expect(attempts.waitAfter(new PipelineError('DISK_FULL_WAITING', 'the disk is full'))).toBeGreaterThan(0);
    expect(() => attempts.waitAfter(unavailable())).toThrow('Gave up');
  });

  it('last 15 minutes, with waits that grow, vary and stay within 15 s', () => {
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

  it('are not made for permanent or unknown errors', () => {
    const attempts = new Attempts();
    for (const error of [new PipelineError('AUDIO_EMPTY', 'no samples'), new TypeError('x is not a function')]) {
      expect(() => attempts.waitAfter(error)).toThrow(error);
    }
    expect(attempts.failed).toBe(0);
  });
});

describe('observeRetries', () => {
  it('reports each retry, and no permanent error', () => {
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
