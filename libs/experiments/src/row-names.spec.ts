import { expect, it } from 'vitest';
import { madeBars } from './made-results.fixture.js';
import { namesOfRows } from './row-names.js';

it('distinguishes rows with the same label', () => {
  const [row] = madeBars({ folds: 1, seeds: [1] }).rows;
  if (!row) throw new Error('the fixture has no rows');
  const names = namesOfRows([
    { ...row, id: 'a', label: 'Gender', target: 'activation' },
    { ...row, id: 'b', label: 'Gender', target: 'valence' },
    { ...row, id: 'c', label: 'Gender', target: 'valence' },
    { ...row, id: 'd', label: 'Both', target: 'valence' },
  ]);
  expect([...names.values()]).toEqual([
    { short: 'Gender', full: 'Gender, activation' },
    { short: 'Gender (b)', full: 'Gender (b), valence' },
    { short: 'Gender (c)', full: 'Gender (c), valence' },
    { short: 'Both', full: 'Both' },
  ]);
});
