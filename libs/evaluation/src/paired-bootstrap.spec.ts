import { describe, expect, it } from 'vitest';
import { largestFall, pairRows, scoresOfModel, uaAboveChance, uaDifference, type PairedScored } from './paired-bootstrap.js';
import type { PredictionRow } from './predictions-file.js';

/** Makes speakers who differ: each model's share of right answers depends on the speaker. */
function made(
  speakers: number,
  rightOf: { challenger: (speaker: number) => number; champion: (speaker: number) => number },
): PairedScored[] {
  let state = 7;
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  return Array.from({ length: speakers * 12 }, (_, index) => {
    const speaker = Math.floor(index / 12);
    const truth = index % 3;
    const answer = (share: number): number => (random() < share ? truth : (truth + 1) % 3);
    return {
      speakerId: `s${speaker}`,
      truth,
      challenger: answer(rightOf.challenger(speaker)),
      champion: answer(rightOf.champion(speaker)),
    };
  });
}

/** A slow version from the definition: lists all utterances of the drawn speakers and counts recall in the list. */
function slow(pairs: PairedScored[], classCount: number, draws: number) {
  const speakers = [...new Set(pairs.map((pair) => pair.speakerId))];
  const recallOf = (drawn: PairedScored[], model: 'challenger' | 'champion'): number => {
    const recalls: number[] = [];
    for (let index = 0; index < classCount; index++) {
      const ofClass = drawn.filter((pair) => pair.truth === index);
      if (ofClass.length > 0) recalls.push(ofClass.filter((pair) => pair[model] === index).length / ofClass.length);
    }
    return recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length;
  };
  let state = 12_345;
  const random = (): number => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
  const values = Array.from({ length: draws }, () => {
    const drawn = speakers.flatMap(() => {
      const speaker = speakers[Math.floor(random() * speakers.length)];
      return pairs.filter((pair) => pair.speakerId === speaker);
    });
    return recallOf(drawn, 'challenger') - recallOf(drawn, 'champion');
  }).sort((a, b) => a - b);
  return {
    difference: recallOf(pairs, 'challenger') - recallOf(pairs, 'champion'),
    low: values[Math.floor(draws * 0.025)] as number,
    high: values[Math.ceil(draws * 0.975) - 1] as number,
    probability:
      values.filter((value) => value > 1e-12).length / draws + values.filter((value) => Math.abs(value) <= 1e-12).length / draws / 2,
  };
}

describe('paired bootstrap', () => {
  it.each([
    ['clearly better', 0.75, 0.5],
    ['hardly better', 0.6, 0.55],
    ['worse', 0.4, 0.6],
  ])('agrees with a slow computation of its own draws where the challenger is %s', (_name, challenger, champion) => {
    const pairs = made(9, {
      challenger: (speaker) => challenger + (speaker % 3) * 0.1,
      champion: (speaker) => champion + (speaker % 4) * 0.08,
    });
    const fast = uaDifference(pairs, 3, { draws: 4_000 });
    const expected = slow(pairs, 3, 4_000);
    expect(fast?.difference).toBeCloseTo(expected.difference, 12);
    // Two independent sets of 4 000 draws: their standard errors are below 0.01.
    expect(Math.abs((fast?.probability ?? 0) - expected.probability)).toBeLessThan(0.03);
    expect(Math.abs((fast?.interval[0] ?? 0) - expected.low)).toBeLessThan(0.02);
    expect(Math.abs((fast?.interval[1] ?? 0) - expected.high)).toBeLessThan(0.02);
  });

  it('repeats exactly and does not depend on the order of utterances', () => {
    const pairs = made(8, { challenger: () => 0.6, champion: () => 0.5 });
    expect(uaDifference(pairs.toReversed(), 3)).toEqual(uaDifference(pairs, 3));
    expect(uaDifference(pairs, 3, { seed: 2 })).not.toEqual(uaDifference(pairs, 3));
  });

  it('gives probability one half to models with equal answers, because a tie is half a draw won', () => {
    const same = made(6, { challenger: () => 0.6, champion: () => 0 }).map((pair) => ({ ...pair, champion: pair.challenger }));
    expect(uaDifference(same, 3)).toEqual({ difference: 0, interval: [0, 0], probability: 0.5 });
  });

  it('is certain if one model is always right and the other never', () => {
    const pairs = made(6, { challenger: () => 1, champion: () => 0 });
    expect(uaDifference(pairs, 3)).toEqual({ difference: 1, interval: [1, 1], probability: 1 });
    const swapped = pairs.map((pair) => ({ ...pair, challenger: pair.champion, champion: pair.challenger }));
    expect(uaDifference(swapped, 3)).toEqual({ difference: -1, interval: [-1, -1], probability: 0 });
  });

  it('weighs speakers, not utterances, so a gain for one speaker is not enough', () => {
    const pairs = made(8, { challenger: () => 0, champion: () => 0 }).map((pair) => ({
      ...pair,
      champion: (pair.truth + 1) % 3,
      challenger: pair.speakerId === 's0' ? pair.truth : (pair.truth + 1) % 3,
    }));
    // A draw lacks that speaker with probability (7/8)^8 = 0.344 and is then a tie: 1 - 0.344 / 2.
    expect(uaDifference(pairs, 3, { draws: 8_000 })?.probability).toBeCloseTo(1 - (7 / 8) ** 8 / 2, 1);
  });

  it('returns null below five speakers', () => {
    expect(uaDifference(made(4, { challenger: () => 1, champion: () => 0 }), 3)).toBeNull();
  });
});

describe('above chance', () => {
  const scored = (predict: (truth: number, index: number) => number) =>
    Array.from({ length: 6 * 8 }, (_, index) => ({
      speakerId: `s${Math.floor(index / 8)}`,
      truth: index % 4,
      prediction: predict(index % 4, index),
    }));

  it('is a model with right answers, not one with a constant answer', () => {
    expect(
      uaAboveChance(
        scored((truth) => truth),
        4,
      ),
    ).toMatchObject({ difference: 0.75, probability: 1 });
    expect(
      uaAboveChance(
        scored(() => 2),
        4,
      ),
    ).toEqual({ difference: 0, interval: [0, 0], probability: 0.5 });
  });

  it('raises the chance level if a class does not occur', () => {
    const twoOfFour = scored((truth) => truth).map((each) => ({ ...each, truth: each.truth % 2, prediction: 0 }));
    expect(uaAboveChance(twoOfFour, 4)).toMatchObject({ difference: 0, probability: 0.5 });
  });
});

describe('the rows of two models', () => {
  const row = (utteranceId: string, truth: number, answer: number): PredictionRow => ({
    utteranceId,
    split: 'dev',
    speakerId: `speaker of ${utteranceId}`,
    truth,
    probabilities: Float32Array.from([0, 1, 2], (index) => (index === answer ? 0.8 : 0.1)),
  });

  it('are joined by utterance', () => {
    expect(pairRows([row('a', 0, 1), row('b', 2, 2)], [row('b', 2, 0), row('a', 0, 0)])).toEqual([
      { speakerId: 'speaker of a', truth: 0, challenger: 1, champion: 0 },
      { speakerId: 'speaker of b', truth: 2, challenger: 2, champion: 0 },
    ]);
  });

  it.each([
    ['the champion lacks an utterance', [row('a', 0, 0), row('b', 0, 0)], [row('a', 0, 0)], 'the champion has no prediction for b'],
    ['the challenger lacks an utterance', [row('a', 0, 0)], [row('a', 0, 0), row('b', 0, 0)], 'the challenger has no prediction for b'],
    ['truths differ', [row('a', 0, 0)], [row('a', 1, 0)], 'different truths'],
    ['the challenger repeats an utterance', [row('a', 0, 0), row('a', 0, 0)], [row('a', 0, 0)], 'two predictions'],
    ['the champion repeats an utterance', [row('a', 0, 0)], [row('a', 0, 0), row('a', 0, 0)], 'two predictions'],
  ])('are refused if %s', (_name, challenger, champion, message) => {
    expect(() => pairRows(challenger, champion)).toThrow(message);
  });

  it('name the class with the largest fall, and ignore a class that does not occur', () => {
    const pairs = pairRows([row('a', 0, 0), row('b', 1, 0), row('c', 1, 1)], [row('a', 0, 1), row('b', 1, 1), row('c', 1, 1)]);
    const challenger = scoresOfModel(pairs, 'challenger', ['x', 'y', 'z']);
    const champion = scoresOfModel(pairs, 'champion', ['x', 'y', 'z']);
    expect(challenger).toEqual({ ua: 0.75, recall: { x: 1, y: 0.5, z: null } });
    expect(largestFall(challenger.recall, champion.recall)).toEqual({ class: 'y', points: 50 });
    expect(largestFall(champion.recall, champion.recall)).toBeNull();
  });
});
