import { expect, it } from 'vitest';
import { whyNothingCanBePromoted } from './promotion-needs.js';

it('names the number that is needed, the number that there is, and the remedy', () => {
  expect(whyNothingCanBePromoted({ own: { train: 1, dev: 0, test: 0 }, ravdess: { train: 20, dev: 2, test: 2 } })).toBe(
    'Nothing can be promoted: the decision needs 5 dev speakers with labels, and there are 2 (ravdess has 2 of 24, own has 0 of 1). ' +
      'Add labelled recordings of more speakers, or name dev speakers in corpora/ravdess/corpus.json, as {"splits": {"dev": ["…"]}}.',
  );
});

it('is silent if the dev speakers of all corpora are enough, and if nothing is labelled', () => {
  expect(whyNothingCanBePromoted({ a: { train: 9, dev: 3, test: 0 }, b: { train: 9, dev: 2, test: 0 } })).toBeNull();
  expect(whyNothingCanBePromoted({})).toBeNull();
});
