import { expect, it } from 'vitest';
import { iemocapReader } from './iemocap-reader.js';

const evaluation = [
  '% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]',
  '',
  '[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 3.5000, 2.5000]',
  'C-E2:\tNeutral;\t()',
  'C-F1:\tNeutral; Anger;\t(curious)',
  'A-E3:\tval 3; act 2; dom  2;\t()',
  '',
  '[10.0100 - 11.3925]\tSes01F_impro01_F001\txxx\t[2.5000, 2.5000, 2.5000]',
  '[14.8872 - 18.0175]\tSes01F_impro01_M000\texc\t[4.0000, 4.5000, 2.5000]\r',
  '[19.2900 - 20.7875]\tSes01F_impro01_M001\tfru\t[2.0000, 5.5000, 2.5000]',
  '[21.3257 - ',
].join('\n');
const corpus = iemocapReader.read(new Map([['Session1/dialog/EmoEvaluation/Ses01F_impro01.txt', evaluation]]));
const of = (turn: string) => corpus.annotationOf(`Session1/sentences/wav/Ses01F_impro01/${turn}.wav`);

it('reads valence, activation, dominance in this order, and takes the speaker from the turn, not the dialog', () => {
  expect(of('Ses01F_impro01_F000').labels).toEqual({
    speakerId: 'Ses01F',
    gender: 'female',
    session: '1',
    category: 'neutral',
    activation: 3.5,
    valence: 2.5,
  });
  expect(of('Ses01F_impro01_M000').labels).toMatchObject({
    speakerId: 'Ses01M',
    gender: 'male',
    category: 'happy',
    activation: 4.5,
    valence: 4,
  });
});

it('keeps the dimensions of an emotion without a class, and gives the reason for no category', () => {
  expect(of('Ses01F_impro01_F001')).toMatchObject({ labels: { activation: 2.5, valence: 2.5 }, noCategoryBecause: 'no agreement' });
  expect(of('Ses01F_impro01_M001').labels).toMatchObject({ category: undefined, activation: undefined, valence: 2 });
  expect(of('Ses01F_impro01_M001').noCategoryBecause).toBe('frustration');
});

it('knows the speaker of a turn without annotation', () => {
  const annotation = of('Ses01F_impro01_F040');
  expect(annotation.labels).toMatchObject({ speakerId: 'Ses01F', gender: 'female' });
  expect(annotation.noCategoryBecause).toBe('not annotated');
});

it('counts turns without a category and unreadable lines', () => {
  expect(corpus.remarks).toEqual({ 'no agreement': 1, frustration: 1, 'a turn that cannot be read': 1 });
});

it.each(['constructor', '__proto__', 'toString'])('treats the code %s as unknown', (code) => {
  const line = `[6.2901 - 8.2357]\tSes01F_impro01_F000\t${code}\t[2.5000, 3.5000, 2.5000]`;
  const read = iemocapReader.read(new Map([['Session1/dialog/EmoEvaluation/Ses01F_impro01.txt', line]]));
  const { labels, noCategoryBecause } = read.annotationOf('Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav');
  expect([labels.category, noCategoryBecause]).toEqual([undefined, 'an unknown emotion code']);
});
