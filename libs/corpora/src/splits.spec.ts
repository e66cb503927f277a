import { expect, it } from 'vitest';
import { hashedSplit, isWithheld } from './splits.js';

it('keeps a speaker in one split for ever', () => {
  // These are promises to models already trained: a change of the hash would let test speakers into training.
  expect(['19', '26', '27', '32', '39', '40', '60'].map((speaker) => hashedSplit('librispeech', speaker))).toMatchInlineSnapshot(`
    [
      "train",
      "test",
      "train",
      "test",
      "train",
      "train",
      "train",
    ]
  `);
});

it('holds out about a tenth of the speakers twice', () => {
  const counts = { train: 0, dev: 0, test: 0 };
  for (let speaker = 0; speaker < 5000; speaker++) counts[hashedSplit('c', String(speaker))]++;
  expect(counts.dev / 5000).toBeCloseTo(0.1, 1);
  expect(counts.test / 5000).toBeCloseTo(0.1, 1);
});

it('withholds utterances of known training speakers only', () => {
  const withheld = Array.from({ length: 2000 }, (_, i) => isWithheld('train', 's', `c/${i}.wav`)).filter(Boolean).length;
  expect(withheld / 2000).toBeCloseTo(0.1, 1);
  for (let i = 0; i < 100; i++) {
    expect(isWithheld('test', 's', `c/${i}.wav`) || isWithheld('train', undefined, `c/${i}.wav`)).toBe(false);
  }
});
