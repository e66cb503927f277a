import { expect, it } from 'vitest';
import { calibrationOf } from './calibration.js';

const row = (truth: number, ...probabilities: number[]) => ({ truth, probabilities: Float32Array.from(probabilities) });

it('is the gap between mean probability and accuracy, weighted by utterances', () => {
  // Two at 0.75, one right: gap 0.25. Two at 1, both right: none.
  const found = calibrationOf([row(0, 0.75, 0.25), row(1, 0.75, 0.25), row(1, 0, 1), row(1, 0, 1)]);
  expect(found?.ece).toBeCloseTo(0.125, 12);
  expect(found?.bins[7]).toEqual({ from: 0.7, to: 0.8, count: 2, confidence: 0.75, accuracy: 0.5 });
  expect(found?.bins[9]).toMatchObject({ count: 2, confidence: 1, accuracy: 1 });
  expect(found?.bins[0]).toMatchObject({ count: 0, confidence: null, accuracy: null });
});

it('puts every utterance into one bin, also when rounding lifts a probability above 1', () => {
  const found = calibrationOf([row(0, 1.0000001, 0), row(0, 0, 0)]);
  expect(found?.bins.reduce((sum, { count }) => sum + count, 0)).toBe(2);
});

it('returns null without predictions', () => {
  expect(calibrationOf([])).toBeNull();
});
