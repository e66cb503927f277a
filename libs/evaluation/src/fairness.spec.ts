import { describe, expect, it } from 'vitest';
import type { PredictionRow } from './predictions-file.js';
import { evaluateRows } from './evaluate-predictions.js';
import { fairnessText, type PersonScored, scoresByGender, speakerSpread } from './fairness.js';

/** Ten utterances, five of each of two classes. @param right number of right answers in each class */
const speaker = (speakerId: string, right: number, gender?: PersonScored['gender']): PersonScored[] =>
  [0, 1].flatMap((truth) =>
    Array.from({ length: 5 }, (_, take) => ({ speakerId, gender, truth, prediction: take < right ? truth : 1 - truth })),
  );

describe('scores by gender', () => {
  it('show that a good mean hides a badly served gender', () => {
    const women = Array.from({ length: 5 }, (_, n) => speaker(`w${n}`, 2, 'female')).flat();
    const men = Array.from({ length: 2 }, (_, n) => speaker(`m${n}`, 5, 'male')).flat();
    const scores = scoresByGender([...women, ...men, ...speaker('x', 5)], 2);
    expect(scores.female).toEqual({ n: 50, speakers: 5, ua: 0.4, uaInterval: [0.4, 0.4] });
    expect(scores.male).toEqual({ n: 20, speakers: 2, ua: 1, uaInterval: null });
  });

  it('leave out a gender that does not occur', () => {
    expect(Object.keys(scoresByGender(speaker('m', 5, 'male'), 2))).toEqual(['male']);
  });
});

describe('the spread over single speakers', () => {
  it('names the worst', () => {
    const all = [...speaker('a', 5), ...speaker('b', 1), ...speaker('c', 3), ...speaker('d', 4)];
    const spread = speakerSpread(all, 2);
    expect(spread).toMatchObject({ speakers: 4, worst: 0.2, worstSpeaker: 'b' });
    expect(spread?.median).toBeCloseTo(0.7);
  });

  it('leaves out unknown speakers and those with too few utterances', () => {
    expect(speakerSpread([...speaker('', 0), ...speaker('a', 0).slice(0, 4)], 2)).toBeNull();
  });
});

describe('an evaluation', () => {
  const rows = (gender: PredictionRow['gender']): PredictionRow[] =>
    speaker('c/a', 3).map(({ truth, prediction }, index) => ({
      utteranceId: `c/${index}`,
      split: 'test',
      speakerId: 'c/a',
      gender,
      truth,
      probabilities: Float32Array.from([0, 1], (each) => (each === prediction ? 1 : 0)),
    }));
  const fact = { runId: 'r', step: 1, classes: ['a', 'b'], viewDigest: 'v' };

  it('tells the genders and the speakers apart', () => {
    const [emotion] = evaluateRows({ ...fact, task: 'emotion' }, rows('female'));
    expect(emotion).toMatchObject({ byGender: { female: { ua: 0.6 } }, spread: { speakers: 1, worst: 0.6, worstSpeaker: 'c/a' } });
    expect(fairnessText(emotion!)).toBe('UA of women 60.0 % (1 speaker); single speakers: median 60.0 %, worst 60.0 % (c/a), of 1');
  });

  it('of predictions from an old release has no genders', () => {
    const [emotion] = evaluateRows({ ...fact, task: 'emotion' }, rows(undefined));
    expect(emotion).not.toHaveProperty('byGender');
  });

  it('of gender has no scores by gender, and one of speakers no spread', () => {
    expect(evaluateRows({ ...fact, task: 'gender' }, rows('female'))[0]).not.toHaveProperty('byGender');
    expect(evaluateRows({ ...fact, task: 'speaker' }, rows('female'))[0]).not.toHaveProperty('spread');
  });
});
