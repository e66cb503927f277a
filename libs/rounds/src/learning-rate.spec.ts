import { expect, it } from 'vitest';
import { rateFactor } from './learning-rate.js';

it('stays 1 without a schedule', () => {
  for (const step of [0, 50, 99]) expect(rateFactor({ schedule: 'constant', warmupSteps: 0 }, step, 100)).toBe(1);
});

it('warms up linearly to the full rate', () => {
  expect([0, 1, 2, 3, 4].map((step) => rateFactor({ schedule: 'constant', warmupSteps: 3 }, step, 100))).toEqual([0.25, 0.5, 0.75, 1, 1]);
});

it('falls along half a cosine to a tenth within the round', () => {
  const at = (step: number): number => rateFactor({ schedule: 'cosine', warmupSteps: 10 }, step, 110);
  expect(at(10)).toBe(1);
  expect(at(60)).toBeCloseTo(0.55);
  expect(at(110)).toBeCloseTo(0.1);
  expect(at(35)).toBeGreaterThan(at(36));
});
