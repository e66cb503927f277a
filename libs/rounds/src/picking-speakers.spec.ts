import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ViewUtterance } from '#index/training-index.js';
import { pickingSpeakers } from './picking-speakers.js';

const dev = (count: number): ViewUtterance[] =>
  Array.from(
    { length: count },
    (_, index) => ({ split: 'dev', labels: { speakerId: `c/s${index}`, gender: index % 2 === 0 ? 'female' : 'male' } }) as ViewUtterance,
  );
const none: ReadonlySet<string> = new Set();

it.each([
  [0, 0],
  [6, 0],
  [7, 2],
  [9, 3],
  [30, 10],
])('of %i dev speakers, %i pick', (speakers, picking) => {
  expect(pickingSpeakers(dev(speakers), none).size).toBe(picking);
});

it('both genders pick', () => {
  const picking = pickingSpeakers(dev(7), none);
  const genders = dev(7).flatMap(({ labels }) => (picking.has(labels.speakerId ?? '') ? [labels.gender] : []));
  expect(genders.sort()).toEqual(['female', 'male']);
});

it('leaves five speakers to decide, and no speaker that picked decides later, however dev grows', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 6 }), (sizes) => {
      const picked = new Set<string>();
      let most = 0;
      for (const size of sizes) {
        most = Math.max(most, size);
        const picking = pickingSpeakers(dev(most), picked);
        for (const speaker of picking) picked.add(speaker);
        if (most >= 5) expect(most - picked.size).toBeGreaterThanOrEqual(5);
        if (picked.size > 0) expect(picking).toEqual(picked);
      }
    }),
  );
});
