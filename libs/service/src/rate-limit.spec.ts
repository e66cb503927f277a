import { expect, test } from 'vitest';
import { RateLimit } from './rate-limit.js';

test('admits a burst, then the given rate, and returns the wait for the next', () => {
  let nowMs = 0;
  const limit = new RateLimit({ perSecond: 10, burst: 3, now: () => nowMs });
  expect([limit.take(), limit.take(), limit.take()]).toEqual([0, 0, 0]);
  expect(limit.take()).toBeCloseTo(0.1);
  nowMs += 100;
  expect(limit.take()).toBe(0);
  expect(limit.take()).toBeGreaterThan(0);
});

test('saves at most one burst during a long pause', () => {
  let nowMs = 0;
  const limit = new RateLimit({ perSecond: 10, burst: 3, now: () => nowMs });
  nowMs += 3_600_000;
  expect([1, 2, 3].map(() => limit.take())).toEqual([0, 0, 0]);
  expect(limit.take()).toBeGreaterThan(0);
});

test('admits a cost larger than a burst when the bucket is full, and makes later ones wait', () => {
  let nowMs = 0;
  const limit = new RateLimit({ perSecond: 10, burst: 3, now: () => nowMs });
  expect(limit.take(5)).toBe(0);
  nowMs += 200;
  expect(limit.take()).toBeGreaterThan(0);
  nowMs += 100;
  expect(limit.take()).toBe(0);
});
