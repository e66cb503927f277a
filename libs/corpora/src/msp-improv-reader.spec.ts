import { expect, it } from 'vitest';
import { mspImprovReader } from './msp-improv-reader.js';

const evaluation = [
  'UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:3.400000; V:1.600000; D:3.200000; N:3.400000;',
  'WORKER00000001; Angry; Angry,Frustrated; A:4.000000; V:1.000000; D:3.000000; N:4.000000;',
  '',
  'UTD-IMPROV-S05H-M03-R-FM02.avi; X; A:2.000000; V:3.000000; D:3.000000; N:NaN;',
  'UTD-IMPROV-S05H-M03-S-MF02.avi; O; A:NaN; V:3.000000; D:3.000000 ; N:3.0;\r',
].join('\n');
const corpus = mspImprovReader.read(new Map([['Evalution.txt', evaluation]]));

it('reads the majority, the means, and the speaker from the fourth part of the name', () => {
  expect(corpus.annotationOf('Audio/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav').labels).toEqual({
    speakerId: 'F01',
    gender: 'female',
    session: '1',
    category: 'angry',
    activation: 3.4,
    valence: 1.6,
  });
});

it('gives no category without agreement or for another emotion, and keeps numeric dimensions', () => {
  const unagreed = corpus.annotationOf('Audio/session3/S05H/R/MSP-IMPROV-S05H-M03-R-FM02.wav');
  expect(unagreed).toMatchObject({
    labels: { speakerId: 'M03', gender: 'male', activation: 2, valence: 3 },
    noCategoryBecause: 'no agreement',
  });
  const other = corpus.annotationOf('Audio/session3/S05H/S/MSP-IMPROV-S05H-M03-S-MF02.wav');
  expect(other.labels).toMatchObject({ category: undefined, activation: undefined, valence: 3 });
  expect(corpus.remarks).toEqual({ 'no agreement': 1, 'another emotion': 1 });
});
