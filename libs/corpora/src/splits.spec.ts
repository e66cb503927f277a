import { expect, it } from 'vitest';
import { hashedSplit, isWithheld } from './splits.js';

it('always keeps a speaker in one split', () => {
  // Models already trained rely on these values: another hash would let test speakers into training.
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

it('holds out about a tenth of the speakers for dev and a tenth for test', () => {
  const counts = { train: 0, dev: 0, test: 0 };
  for (let speaker = 0; speaker < 5000; speaker++) counts[hashedSplit('c', String(speaker))]++;
  expect(counts.dev / 5000).toBeCloseTo(0.1, 1);
  expect(counts.test / 5000).toBeCloseTo(0.1, 1);
});

it('withholds only utterances of known training speakers', () => {
  const withheld = Array.from({ length: 2000 }, (_, i) => isWithheld('train', 's', `c/${i}.wav`)).filter(Boolean).length;
  expect(withheld / 2000).toBeCloseTo(0.1, 1);
  for (let i = 0; i < 100; i++) {
    expect(isWithheld('test', 's', `c/${i}.wav`) || isWithheld('train', undefined, `c/${i}.wav`)).toBe(false);
  }
});
