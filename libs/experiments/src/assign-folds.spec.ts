import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emotionCategories, genders } from '#contracts/labels.js';
import { assignFolds, type FoldedUtterance, rotated } from './assign-folds.js';

/** Speakers with 1 to 30 utterances each, of both genders or of unknown gender, two to a session. */
const corpora = fc.array(fc.record({ utterances: fc.integer({ min: 1, max: 30 }), gender: fc.constantFrom(...genders, null) }), {
  minLength: 3,
  maxLength: 24,
});
type Speakers = { utterances: number; gender: FoldedUtterance['gender'] }[];

function utterancesOf(speakers: Speakers, least = 0): FoldedUtterance[] {
  return speakers.flatMap(({ utterances, gender }, speaker) =>
    Array.from({ length: Math.max(least, utterances) }, (_, index) => ({
      utteranceId: `c/s${speaker}-${index}`,
      speakerId: `c/s${speaker}`,
      gender,
      session: `session ${Math.floor(speaker / 2)}`,
      emotion: emotionCategories[index % 4] as string,
    })),
  );
}

/** The utterances of each fold. */
function folds(utterances: FoldedUtterance[], foldOf: ReadonlyMap<string, number>, count: number): FoldedUtterance[][] {
  return Array.from({ length: count }, (_, fold) => utterances.filter(({ utteranceId }) => foldOf.get(utteranceId) === fold));
}

describe('folds by speaker', () => {
  const withFolds = fc.tuple(corpora, fc.integer({ min: 3, max: 10 })).filter(([speakers, count]) => speakers.length >= count);

  it('never put a speaker into two of train, dev and test, at any turn of the rotation', () => {
    fc.assert(
      fc.property(withFolds, ([speakers, count]) => {
        const utterances = utterancesOf(speakers);
        const parts = folds(utterances, assignFolds(utterances, { count, by: 'speaker' }), count);
        for (let turn = 0; turn < count; turn++) {
          const { test, dev } = rotated(turn, count);
          const speakersOf = (own: FoldedUtterance[]): Set<string> => new Set(own.map(({ speakerId }) => speakerId));
          const [tested, checked] = [speakersOf(parts[test]!), speakersOf(parts[dev]!)];
          const learnt = speakersOf(parts.filter((_, fold) => fold !== test && fold !== dev).flat());
          expect(new Set([...tested, ...checked, ...learnt]).size).toBe(tested.size + checked.size + learnt.size);
          expect(Math.min(tested.size, checked.size, learnt.size)).toBeGreaterThan(0);
        }
      }),
    );
  });

  it('use each utterance for test in exactly one turn and for dev in exactly one turn', () => {
    fc.assert(
      fc.property(withFolds, ([speakers, count]) => {
        const utterances = utterancesOf(speakers);
        const foldOf = assignFolds(utterances, { count, by: 'speaker' });
        for (const part of ['test', 'dev'] as const) {
          const turns = utterances.map(
            ({ utteranceId }) =>
              Array.from({ length: count }, (_, turn) => rotated(turn, count)[part]).filter((fold) => fold === foldOf.get(utteranceId))
                .length,
          );
          expect(turns.every((each) => each === 1)).toBe(true);
        }
      }),
    );
  });

  it('are balanced: two folds differ by at most the largest speaker of each gender', () => {
    fc.assert(
      fc.property(withFolds, ([speakers, count]) => {
        const utterances = utterancesOf(speakers);
        const sizes = folds(utterances, assignFolds(utterances, { count, by: 'speaker' }), count).map((own) => own.length);
        const largest = [...genders, null].map((gender) =>
          Math.max(0, ...speakers.filter((each) => each.gender === gender).map((each) => each.utterances)),
        );
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(largest.reduce((sum, each) => sum + each, 0));
      }),
    );
  });

  it('do not depend on the order of the utterances', () => {
    fc.assert(
      fc.property(withFolds, ([speakers, count]) => {
        const utterances = utterancesOf(speakers);
        const by = 'speaker';
        const there = assignFolds(utterances, { count, by });
        const back = assignFolds(utterances.toReversed(), { count, by });
        expect(utterances.map(({ utteranceId }) => back.get(utteranceId))).toEqual(
          utterances.map(({ utteranceId }) => there.get(utteranceId)),
        );
      }),
    );
  });

  it('hold one of ten speakers each, as for IEMOCAP, and both genders where there are enough of both', () => {
    const ten = utterancesOf(Array.from({ length: 10 }, (_, index) => ({ utterances: 400 + index, gender: genders[index % 2]! })));
    const parts = folds(ten, assignFolds(ten, { count: 10, by: 'speaker' }), 10);
    expect(parts.map((own) => new Set(own.map(({ speakerId }) => speakerId)).size)).toEqual(Array(10).fill(1));
    const mixed = folds(ten, assignFolds(ten, { count: 5, by: 'speaker' }), 5);
    expect(mixed.map((own) => new Set(own.map(({ gender }) => gender)).size)).toEqual(Array(5).fill(2));
  });

  it('refuse too few speakers and say what to do', () => {
    const two = utterancesOf([
      { utterances: 5, gender: 'male' },
      { utterances: 5, gender: 'female' },
    ]);
    expect(() => assignFolds(two, { count: 3, by: 'speaker' })).toThrow(/2 speakers.*lower folds.count/);
  });
});

describe('folds by session', () => {
  it('never put a session into two folds', () => {
    fc.assert(
      fc.property(corpora, fc.integer({ min: 3, max: 5 }), (speakers, count) => {
        fc.pre(Math.ceil(speakers.length / 2) >= count);
        const utterances = utterancesOf(speakers);
        const parts = folds(utterances, assignFolds(utterances, { count, by: 'session' }), count);
        const sessions = parts.flatMap((own) => [...new Set(own.map(({ session }) => session))]);
        expect(new Set(sessions).size).toBe(sessions.length);
      }),
    );
  });

  it('refuse utterances without a session', () => {
    const unknown = utterancesOf([{ utterances: 9, gender: 'male' }]).map((each) => ({ ...each, session: null }));
    expect(() => assignFolds(unknown, { count: 3, by: 'session' })).toThrow(/use folds.by: speaker/);
  });
});

describe('folds by utterance, the other reading of "stratified by speaker"', () => {
  it('put every speaker into every fold, use each utterance once, and differ in size by at most one', () => {
    fc.assert(
      fc.property(corpora, fc.integer({ min: 3, max: 10 }), (speakers, count) => {
        const utterances = utterancesOf(speakers, count);
        const foldOf = assignFolds(utterances, { count, by: 'utterance' });
        expect(foldOf.size).toBe(utterances.length);
        const parts = folds(utterances, foldOf, count);
        for (const own of parts) expect(new Set(own.map(({ speakerId }) => speakerId)).size).toBe(speakers.length);
        const sizes = parts.map((own) => own.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });
});
