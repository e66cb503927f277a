import { describe, expect, it } from 'vitest';
import type { PredictionRow } from './predictions-file.js';
import { decidePromotion, type PromotionCase } from './decide-promotion.js';

const classes = ['angry', 'happy', 'neutral', 'sad'];
const settings = { confidence: 0.95, maxRecallFallPoints: 10 };

/** Each speaker has ten utterances of each class. @param rightOf number of right answers among the ten */
function rows(
  speakers: number,
  rightOf: (className: string, speaker: number) => number,
  split: PredictionRow['split'] = 'dev',
): PredictionRow[] {
  return Array.from({ length: speakers }, (_, speaker) =>
    classes.flatMap((name, truth) =>
      Array.from({ length: 10 }, (_, take): PredictionRow => {
        const answer = take < rightOf(name, speaker) ? truth : (truth + 1) % 4;
        return {
          utteranceId: `${split}/s${speaker}/${name}-${take}`,
          split,
          speakerId: `${split}/s${speaker}`,
          truth,
          probabilities: Float32Array.from(classes, (_, index) => (index === answer ? 0.7 : 0.1)),
        };
      }),
    ),
  ).flat();
}

const decide = (given: Partial<PromotionCase>, more = {}) =>
  decidePromotion({ classes, challenger: rows(6, () => 7), comparedWith: null, current: null, ...given }, { ...settings, ...more });
const against = (champion: PredictionRow[], challenger: PredictionRow[], more = {}) =>
  decide({ challenger, comparedWith: { number: 3, rows: champion }, current: 3 }, more);

describe('the first champion', () => {
  it('must be above chance on dev speakers', () => {
    expect(decide({})).toMatchObject({
      promote: true,
      comparison: {
        challenger: { ua: 0.7 },
        champion: null,
        chance: 0.25,
        difference: expect.closeTo(0.45, 12),
        probability: 1,
        speakers: 6,
        utterances: 240,
      },
      why: 'The first champion: UA 70.0 % on 6 dev speakers, above chance (25.0 %) with probability 1.000.',
    });
  });

  it('cannot be a model that guesses', () => {
    const guessing = rows(6, (name) => (name === 'sad' ? 10 : 0)).map((row) => ({ ...row, probabilities: Float32Array.of(0, 0, 0, 1) }));
    expect(decide({ challenger: guessing })).toMatchObject({
      promote: false,
      reason: 'not-above-chance',
      comparison: { probability: 0.5 },
    });
  });

  it('does not depend on test speakers', () => {
    const deaf = [...rows(6, () => 1), ...rows(20, () => 10, 'test')];
    expect(decide({ challenger: deaf })).toMatchObject({ promote: false, reason: 'not-above-chance', comparison: { speakers: 6 } });
    expect(decide({ challenger: rows(20, () => 10, 'test') })).toMatchObject({
      promote: false,
      reason: 'too-few-speakers',
      devSpeakers: 0,
    });
  });
});

describe('speakers that picked the challenger', () => {
  const pickedBy = ['dev/s0', 'dev/s1'];
  const isPicking = (speaker: number): boolean => pickedBy.includes(`dev/s${speaker}`);

  it('do not decide, however well it does on them', () => {
    const flattering = rows(7, (name, speaker) => (isPicking(speaker) ? 10 : name === 'sad' ? 4 : 2));
    expect(decide({ challenger: flattering })).toMatchObject({ promote: true });
    expect(decide({ challenger: flattering, pickedBy })).toMatchObject({ promote: false, reason: 'not-above-chance', devSpeakers: 5 });
  });

  it('are left out of the champion’s rows too', () => {
    const champion = rows(7, (_, speaker) => (isPicking(speaker) ? 10 : 5));
    const challenger = rows(7, (_, speaker) => (isPicking(speaker) ? 0 : 8));
    const decision = decide({ challenger, comparedWith: { number: 3, rows: champion }, current: 3, pickedBy });
    expect(decision).toMatchObject({ promote: true, comparison: { speakers: 5, difference: expect.closeTo(0.3, 12) } });
  });

  it('leave too few for a decision where there are six', () => {
    expect(decide({ pickedBy })).toMatchObject({ promote: false, reason: 'too-few-speakers', devSpeakers: 4 });
  });
});

it('refuses to decide on fewer than five known dev speakers', () => {
  expect(decide({ challenger: rows(4, () => 10) })).toMatchObject({
    promote: false,
    reason: 'too-few-speakers',
    comparison: null,
    why: 'There are 4 dev speakers with this label, and a decision needs 5. Test speakers do not count. Add labelled recordings of more speakers, or name dev speakers in corpus.json under splits. Speakers that the run has heard do not count either: if you moved some to dev, set another RUN_NAME.',
  });
  const unknown = rows(6, () => 10).map((row) => ({ ...row, speakerId: '' }));
  expect(decide({ challenger: unknown })).toMatchObject({ reason: 'too-few-speakers', devSpeakers: 0 });
});

describe('a challenger', () => {
  it('is promoted if it is better for most speakers', () => {
    const champion = rows(6, () => 5);
    expect(
      against(
        champion,
        rows(6, (_, speaker) => (speaker === 0 ? 5 : 6)),
      ),
    ).toMatchObject({
      promote: true,
      comparison: { challenger: { ua: expect.closeTo(0.5833, 4) }, champion: { ua: 0.5 }, largestFall: null },
      why: expect.stringMatching(/^UA 58.3 % against 50.0 % of champion 3 on 6 dev speakers, better with probability .*; no class fell\.$/),
    });
  });

  it('is not promoted if it is better for one speaker only, or the same', () => {
    const champion = rows(6, () => 5);
    expect(
      against(
        champion,
        rows(6, (_, speaker) => (speaker === 0 ? 9 : 5)),
      ),
    ).toMatchObject({
      promote: false,
      reason: 'not-better',
      why: expect.stringContaining('0.95 is asked for'),
    });
    expect(against(champion, champion)).toMatchObject({ promote: false, reason: 'not-better', comparison: { probability: 0.5 } });
    expect(against(champion, champion, { confidence: 0.5 })).toMatchObject({ promote: false });
  });

  it('is rejected if the recall of a class falls too far, although UA is better', () => {
    const champion = rows(6, () => 5);
    const dearBought = rows(6, (name) => (name === 'happy' ? 3 : 8));
    expect(against(champion, dearBought)).toMatchObject({
      promote: false,
      reason: 'recall-fell',
      comparison: { probability: 1, largestFall: { class: 'happy', points: 20 } },
      why: expect.stringContaining('recall of happy fell by 20.0 points; at most 10 are allowed'),
    });
    expect(against(champion, dearBought, { maxRecallFallPoints: 20 })).toMatchObject({
      promote: true,
      why: expect.stringContaining('happy fell most, by 20.0 points.'),
    });
  });

  it('is promoted if the recall of a class falls by exactly the allowed points', () => {
    for (const right of [4, 5, 6, 7, 8]) {
      const challenger = rows(6, (name) => (name === 'sad' ? right - 1 : right + 2));
      expect(
        against(
          rows(6, () => right),
          challenger,
        ),
        `from ${right} of ten`,
      ).toMatchObject({ promote: true });
    }
  });

  it('is stale if it was compared with another champion than the current one', () => {
    const better = { challenger: rows(6, () => 9), comparedWith: { number: 3, rows: rows(6, () => 5) } };
    expect(decide({ ...better, current: 4 })).toMatchObject({
      promote: false,
      reason: 'stale',
      why: 'It was compared with champion 3, and champion 4 has come since. The next round will be compared with the current champion.',
    });
    expect(decide({ challenger: rows(6, () => 9), current: 4 })).toMatchObject({
      promote: false,
      reason: 'stale',
      why: expect.stringMatching(
        /compared with no champion, and champion 4 is in use.*its classes, clusters or tiles differ.*undertone promote/,
      ),
    });
    expect(decide({ ...better, current: null })).toMatchObject({ promote: false, reason: 'stale' });
  });

  it('throws if challenger and champion were scored on different utterances', () => {
    expect(() =>
      against(
        rows(7, () => 5),
        rows(6, () => 9),
      ),
    ).toThrow(expect.objectContaining({ code: 'RECORD_INVALID' }));
    const otherTruths = rows(6, () => 5).map((row) => ({ ...row, truth: 0 }));
    expect(() =>
      against(
        otherTruths,
        rows(6, () => 9),
      ),
    ).toThrow(/different truths/);
  });
});
