import { expect, test } from 'vitest';
import { RateLimit } from './rate-limit.js';

test('lets a burst pass, then so many a second, and says when the next may come', () => {
  let nowMs = 0;
  const limit = new RateLimit({ perSecond: 10, burst: 3, now: () => nowMs });
  expect([limit.take(), limit.take(), limit.take()]).toEqual([0, 0, 0]);
  expect(limit.take()).toBeCloseTo(0.1);
  nowMs += 100;
  expect(limit.take()).toBe(0);
  expect(limit.take()).toBeGreaterThan(0);
});

test('does not save more than one burst over a long pause', () => {
  let nowMs = 0;
  const limit = new RateLimit({ perSecond: 10, burst: 3, now: () => nowMs });
  nowMs += 3_600_000;
  expect([1, 2, 3].map(() => limit.take())).toEqual([0, 0, 0]);
  expect(limit.take()).toBeGreaterThan(0);
});

test('lets one that costs more than a burst pass when the bucket is full, and makes the next ones wait for it', () => {
  let nowMs = 0;
  const limit = new RateLimit({ perSecond: 10, burst: 3, now: () => nowMs });
  expect(limit.take(5)).toBe(0);
  nowMs += 200;
  expect(limit.take()).toBeGreaterThan(0);
  nowMs += 100;
  expect(limit.take()).toBe(0);
});
