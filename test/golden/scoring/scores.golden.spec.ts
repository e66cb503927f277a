/** Our scores against scikit-learn's (make-golden.py), on random answers and on those where a class is missing. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { confusionMatrix, scoresOf } from '#evaluation/confusion.js';

interface Case {
  name: string;
  classes: number;
  truth: number[];
  prediction: number[];
  wa: number;
  ua: number;
  recall: (number | null)[];
  confusion: number[][];
}

const { cases } = JSON.parse(readFileSync(new URL('./scores.json', import.meta.url), 'utf8')) as { cases: Case[] };
const tolerance = 1e-12;

describe('scores are those of scikit-learn', () => {
  it.each(cases)('$name', ({ classes, truth, prediction, wa, ua, recall, confusion }) => {
    const scores = scoresOf(
      confusionMatrix(
        truth.map((each, index) => ({ truth: each, prediction: prediction[index] as number })),
        classes,
      ),
    );
    expect(scores.confusion).toEqual(confusion);
    expect(Math.abs(scores.wa - wa)).toBeLessThanOrEqual(tolerance);
    expect(Math.abs(scores.ua - ua)).toBeLessThanOrEqual(tolerance);
    expect(scores.recall.map((each) => each === null)).toEqual(recall.map((each) => each === null));
    scores.recall.forEach((each, index) => expect(Math.abs((each ?? 0) - (recall[index] ?? 0))).toBeLessThanOrEqual(tolerance));
  });
});
