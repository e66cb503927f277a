import { expect, test } from 'vitest';
import { seededRandom } from './seeded-random.js';

const draws = (seed: number, count: number): number[] => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random() * 2 ** 32);
};

test.each([
  [0, [1144304738, 1416247, 958946056]],
  [5, [2962560684, 3318907087, 943874942]],
  [0xffffffff, [3850105811, 813802916, 3073704848]],
])('seed %d draws what published intervals were drawn with', (seed, expected) => {
  expect(draws(seed, 3)).toEqual(expected);
});

test('two generators of one seed do not disturb each other', () => {
  const [one, other] = [seededRandom(3), seededRandom(3)];
  const first = [one(), one()];
  expect([other(), other()]).toEqual(first);
});
