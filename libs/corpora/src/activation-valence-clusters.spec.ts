import { describe, expect, it } from 'vitest';
import { clusterOf, fitClusters } from './activation-valence-clusters.js';

const centres = [
  { valence: 1.5, activation: 4 },
  { valence: 2, activation: 2 },
  { valence: 3, activation: 3 },
  { valence: 4, activation: 1.5 },
  { valence: 4.5, activation: 4.5 },
];
const labels = centres.flatMap(({ valence, activation }) =>
  Array.from({ length: 40 }, (_, i) => ({ valence: valence + 0.2 * Math.sin(i), activation: activation + 0.2 * Math.cos(1.7 * i) })),
);

describe('clusters of the activation-valence plane', () => {
  it('have their midpoints where the labels lie, ordered by valence', () => {
    const midpoints = fitClusters(labels, 5, 1);
    midpoints.forEach(({ valence, activation }, index) => {
      expect(valence).toBeCloseTo(centres[index]?.valence ?? NaN, 1);
      expect(activation).toBeCloseTo(centres[index]?.activation ?? NaN, 1);
    });
    centres.forEach((centre, index) => expect(clusterOf(centre, midpoints)).toBe(index));
  });

  it('are the same for the same seed in any order of the labels', () => {
    expect(fitClusters(labels.toReversed(), 3, 7)).toEqual(fitClusters(labels, 3, 7));
  });

  it('need as many different labels as clusters', () => {
    expect(() =>
      fitClusters(
        [...Array(20)].map((_, i) => ({ activation: 1 + (i % 2), valence: 3 })),
        3,
        1,
      ),
    ).toThrow(/need 3 different labels.* there are 2/);
  });

  it('take the first of two equally near midpoints', () => {
    expect(
      clusterOf({ activation: 2, valence: 2 }, [
        { activation: 1, valence: 2 },
        { activation: 3, valence: 2 },
      ]),
    ).toBe(0);
  });
});
