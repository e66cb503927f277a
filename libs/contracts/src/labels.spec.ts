import { describe, expect, it } from 'vitest';
import { emotionCategories, genders, labelsSchema, streamOf, type Labels } from './labels.js';

describe('the stream of an utterance', () => {
  const cases: [string, Labels, ReturnType<typeof streamOf>][] = [
    ['a category', { category: 'sad' }, 'labelled'],
    ['both dimensions', { activation: 1, valence: 5 }, 'labelled'],
    ['a category and one dimension', { category: 'sad', valence: 2 }, 'labelled'],
    ['activation alone', { activation: 3 }, 'unlabelled'],
    ['valence alone', { valence: 3 }, 'unlabelled'],
    ['speaker, gender and session', { speakerId: 'a/1', gender: 'male', session: '1' }, 'unlabelled'],
    ['nothing', {}, 'unlabelled'],
    ['fields that are there but undefined', { category: undefined, activation: undefined, valence: 2 }, 'unlabelled'],
  ];
  it.each(cases)('with %s', (_known, labels, stream) => {
    expect(streamOf(labels)).toBe(stream);
  });
});

describe('labels', () => {
  it('keep the order of their vocabularies, which is the order of the network’s outputs', () => {
    expect([emotionCategories, genders]).toEqual([
      ['angry', 'happy', 'neutral', 'sad'],
      ['female', 'male'],
    ]);
  });

  it.each([0.99, 5.01, Number.NaN, '3'])('refuse an activation of %s', (activation) => {
    expect(labelsSchema.safeParse({ activation }).success).toBe(false);
  });
});
