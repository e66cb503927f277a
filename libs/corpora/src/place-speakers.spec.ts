import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Split } from '#contracts/labels.js';
import { corpusReaders } from './corpus-readers.js';
import { heldOutTargets, inTurn, placeSpeakers, type RosterSpeaker } from './place-speakers.js';
import { hashedSplit } from './splits.js';

const speakers = (count: number, first = 1): RosterSpeaker[] =>
  Array.from({ length: count }, (_, index) => ({ speakerId: String(first + index), gender: index % 2 === 0 ? 'female' : 'male' }));
const countOf = (splits: ReadonlyMap<string, Split>, split: Split): number => [...splits.values()].filter((each) => each === split).length;
const counts = (splits: ReadonlyMap<string, Split>) => ({
  train: countOf(splits, 'train'),
  dev: countOf(splits, 'dev'),
  test: countOf(splits, 'test'),
});

it.each([
  [10, { train: 4, dev: 5, test: 1 }],
  [17, { train: 10, dev: 5, test: 2 }],
  [24, { train: 15, dev: 7, test: 2 }],
  [50, { train: 38, dev: 7, test: 5 }],
  [91, { train: 73, dev: 9, test: 9 }],
])('holds out enough of %i speakers for a decision', (count, wanted) => {
  expect(counts(placeSpeakers('c', speakers(count), new Map()))).toEqual(wanted);
});

it.each([9, 101, 500])('leaves %i speakers to the hash', (count) => {
  const placed = placeSpeakers('c', speakers(count), new Map());
  expect([...placed]).toEqual(speakers(count).map(({ speakerId }) => [speakerId, hashedSplit('c', speakerId)]));
});

it('holds out both genders alike', () => {
  const placed = placeSpeakers('c', speakers(24), new Map());
  const women = speakers(24).filter(({ speakerId, gender }) => gender === 'female' && placed.get(speakerId) === 'dev').length;
  expect([3, 4]).toContain(women);
});

it('does not depend on the order of the annotations', () => {
  const forwards = placeSpeakers('c', speakers(24), new Map());
  const backwards = placeSpeakers('c', speakers(24).reverse(), new Map());
  expect(Object.fromEntries(backwards)).toEqual(Object.fromEntries(forwards));
});

it('puts each speaker into one split and never moves one, however the corpus grows', () => {
  const growth = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.string(), growth, (corpus, steps) => {
      const known = new Map<string, Split>();
      let count = 0;
      for (const step of steps) {
        count += step;
        const before = new Map(known);
        for (const [speaker, split] of placeSpeakers(corpus, speakers(count), known)) {
          expect(known.has(speaker)).toBe(false);
          known.set(speaker, split);
        }
        expect([...known.keys()].sort()).toEqual(
          speakers(count)
            .map(({ speakerId }) => speakerId)
            .sort(),
        );
        for (const [speaker, split] of before) expect(known.get(speaker)).toBe(split);
        const isPlaced = count >= 10 && count <= 100;
        // The speakers that came last may be too few to make up for earlier ones.
        const wanted = heldOutTargets(count);
        const lacking = wanted.dev - countOf(before, 'dev');
        if (isPlaced)
          expect(countOf(known, 'dev')).toBeGreaterThanOrEqual(Math.min(wanted.dev, countOf(before, 'dev') + Math.min(lacking, step)));
      }
    }),
    { numRuns: 200 },
  );
});

it('counts speakers whose split is known, and fills up with new ones only', () => {
  const known = new Map<string, Split>([...speakers(20).map(({ speakerId }) => [speakerId, 'train'] as const), ['x', 'dev']]);
  const placed = placeSpeakers('c', speakers(24), known);
  expect(counts(placed)).toEqual({ train: 0, dev: 4, test: 0 });
});

it('takes the genders in turn', () => {
  const names = inTurn(
    [
      { speakerId: 'a', gender: 'male' as const },
      { speakerId: 'b', gender: 'male' as const },
      { speakerId: 'c', gender: 'female' as const },
    ],
    ({ speakerId }) => speakerId.charCodeAt(0),
  );
  expect(names.map(({ speakerId }) => speakerId)).toEqual(['a', 'c', 'b']);
});

it.each([
  ['ravdess', 24],
  ['emodb', 10],
  ['iemocap', 10],
  ['msp-improv', 12],
  ['crema-d', 91],
])('the reader of %s names its %i speakers, so that a decision is possible', (name, count) => {
  const roster = corpusReaders.find((reader) => reader.name === name)?.read(new Map()).speakers ?? [];
  expect(new Set(roster.map(({ speakerId }) => speakerId)).size).toBe(count);
  expect(countOf(placeSpeakers(name, roster, new Map()), 'dev')).toBeGreaterThanOrEqual(5);
});
