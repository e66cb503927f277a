import { expect, it } from 'vitest';
import { levelOf } from './levels.js';

it.each([
  [1, 0],
  [2, 0],
  [2.0001, 1],
  [3.5, 1],
  [3.5001, 2],
  [5, 2],
])('IEMOCAP: %f is level %i', (value, level) => expect(levelOf(value, 'iemocap')).toBe(level));

it.each([
  [1, 0],
  [2.5, 0],
  [2.5001, 1],
  [3.5, 1],
  [3.5001, 2],
  [5, 2],
])('MSP-IMPROV: %f is level %i', (value, level) => expect(levelOf(value, 'msp-improv')).toBe(level));

it('knows MSP-IMPROV however its prefix is spelt', () =>
  expect(['MSP_IMPROV', 'mspimprov', 'my-msp-improv-2'].map((corpus) => levelOf(2.2, corpus))).toEqual([0, 0, 0]));

it('cuts a corpus that the paper does not name like IEMOCAP, or where it is told to', () => {
  expect(levelOf(2.2, 'recordings')).toBe(1);
  expect(levelOf(2.2, 'constructor', { recordings: [2.4, 4] })).toBe(1);
  expect(levelOf(2.2, 'recordings', { recordings: [2.4, 4], other: [1, 2] })).toBe(0);
});
