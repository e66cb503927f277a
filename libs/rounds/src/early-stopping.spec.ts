import { describe, expect, it } from 'vitest';
import { afterCheck, type BestCheck, checkedUtterances, isStale, uaOf } from './early-stopping.js';
import type { ViewUtterance } from '#index/training-index.js';

const after = (...uas: number[]): BestCheck | null =>
  uas.reduce<BestCheck | null>((best, ua, i) => afterCheck(best, { step: 10 * (i + 1), ua }), null);

describe('early stopping', () => {
  it('keeps the best check, the earlier of equals, and counts later ones', () => {
    expect(after(0.4, 0.6, 0.6, 0.5)).toEqual({ step: 20, ua: 0.6, since: 2 });
    expect(after(0.4, 0.6, 0.5, 0.7)).toEqual({ step: 40, ua: 0.7, since: 0 });
  });

  it('ends a round after `patience` checks without a rise, and never with patience 0', () => {
    expect(isStale(after(0.6, 0.5), 2)).toBe(false);
    expect(isStale(after(0.6, 0.5, 0.5), 2)).toBe(true);
    expect(isStale(after(0.6, 0.5, 0.5, 0.5), 0)).toBe(false);
    expect(isStale(null, 1)).toBe(false);
  });

  it('scores dev speakers only, and none if there are too few', () => {
    const spoken = (speaker: number, split: 'dev' | 'test'): ViewUtterance =>
      ({ utteranceId: `c/${speaker}`, split, labels: { speakerId: `c/s${speaker}` } }) as ViewUtterance;
    const test = [7, 8, 9, 10, 11].map((speaker) => spoken(speaker, 'test'));
    const dev = [0, 1, 2, 3, 4].map((speaker) => spoken(speaker, 'dev'));
    const all = { pickedBefore: new Set<string>(), allFrom: 5 };
    expect(checkedUtterances([...test, ...dev], () => true, all)).toEqual(dev);
    expect(checkedUtterances([...test, ...dev.slice(1)], () => true, all)).toEqual([]);
    expect(checkedUtterances([...test, ...dev], ({ utteranceId }) => utteranceId !== 'c/3', all)).toEqual([]);
    const some = { pickedBefore: new Set<string>(), allFrom: null };
    expect(checkedUtterances([...test, ...dev], () => true, some)).toEqual([]);
    expect(checkedUtterances([...test, ...dev, spoken(5, 'dev'), spoken(6, 'dev')], () => true, some)).toHaveLength(2);
  });

  it('UA is the mean recall', () => {
    const row = (truth: number, ...probabilities: number[]) => ({
      utteranceId: 'u',
      split: 'dev' as const,
      speakerId: 's',
      truth,
      probabilities: Float32Array.from(probabilities),
    });
    expect(uaOf([row(0, 0.9, 0.1), row(0, 0.8, 0.2), row(0, 0.3, 0.7), row(1, 0.4, 0.6)], 2)).toBeCloseTo((2 / 3 + 1) / 2);
  });
});
