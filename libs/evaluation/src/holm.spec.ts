import { expect, it } from 'vitest';
import { holmAdjusted } from './holm.js';

it('adjusts as R does: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")', () => {
  const expected = [0.03, 0.06, 0.06, 0.02];
  holmAdjusted([0.01, 0.04, 0.03, 0.005]).forEach((value, index) => expect(value).toBeCloseTo(expected[index] as number, 12));
});

it('never returns less than the p value itself, nor more than 1', () => {
  expect(holmAdjusted([0.2, 0.9, 0.5])).toEqual([0.6000000000000001, 1, 1]);
  expect(holmAdjusted([0.04])).toEqual([0.04]);
  expect(holmAdjusted([])).toEqual([]);
});
