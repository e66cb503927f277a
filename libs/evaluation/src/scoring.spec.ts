import { describe, expect, it } from 'vitest';
import { uaInterval } from './bootstrap.js';
import { confusionMatrix, mostProbable, scoresOf } from './confusion.js';

const scored = (pairs: [number, number][]) => pairs.map(([truth, prediction]) => ({ truth, prediction }));

describe('scores', () => {
  it('puts truth in rows and predictions in columns', () => {
    expect(confusionMatrix(scored([[0, 1]]), 2)).toEqual([
      [0, 1],
      [0, 0],
    ]);
  });

  it('computes different WA and UA if classes are unbalanced', () => {
    // 8 of class 0, all right; 2 of class 1, one right.
    const pairs: [number, number][] = [...Array.from({ length: 8 }, (): [number, number] => [0, 0]), [1, 1], [1, 0]];
    const { wa, ua, recall } = scoresOf(confusionMatrix(scored(pairs), 2));
    expect(wa).toBeCloseTo(0.9, 12);
    expect(ua).toBeCloseTo(0.75, 12);
    expect(recall).toEqual([1, 0.5]);
  });

  it('leaves a class that does not occur out of UA, like balanced accuracy', () => {
    const scores = scoresOf(
      confusionMatrix(
        scored([
          [0, 0],
          [1, 2],
        ]),
        3,
      ),
    );
    expect(scores.recall).toEqual([1, 0, null]);
    expect(scores.ua).toBeCloseTo(0.5, 12);
  });

  it('refuses an empty list and unknown classes', () => {
    expect(() => scoresOf(confusionMatrix([], 2))).toThrow(RangeError);
    expect(() => confusionMatrix(scored([[0, 2]]), 2)).toThrow(RangeError);
  });

  it('takes the first of equally probable classes', () => {
    expect(mostProbable([0.2, 0.4, 0.4])).toBe(1);
  });
});

describe('interval', () => {
  const speakers = (count: number) =>
    Array.from({ length: count * 20 }, (_, i) => ({
      speakerId: `s${i % count}`,
      truth: i % 2,
      prediction: i % 3 === 0 ? 1 - (i % 2) : i % 2,
    }));

  it('is null below five speakers', () => {
    expect(uaInterval(speakers(4), 2)).toBeNull();
  });

  it('contains the point estimate and repeats exactly', () => {
    const sample = speakers(8);
    const interval = uaInterval(sample, 2);
    const { ua } = scoresOf(confusionMatrix(sample, 2));
    expect(interval).toEqual(uaInterval(sample, 2));
    expect(interval?.[0]).toBeLessThanOrEqual(ua);
    expect(interval?.[1]).toBeGreaterThanOrEqual(ua);
  });
});
