import { expect, it } from 'vitest';
import { librispeechReader } from './librispeech-reader.js';

const speakers =
  ';ID  |SEX| SUBSET           |MINUTES| NAME\n14   | F | train-clean-360  | 25.03 | Kristin LeMoine\n16   | M | train-clean-360  | 25.11 | Alys AtteWater\n';

it('takes the speaker from the path and the gender from SPEAKERS.TXT', () => {
  const corpus = librispeechReader.read(new Map([['SPEAKERS.TXT', speakers]]));
  expect(corpus.annotationOf('train-clean-360/14/208/14-208-0000.flac').labels).toEqual({ speakerId: '14', gender: 'female' });
  expect(corpus.annotationOf('LibriSpeech/train-clean-360/16/1/16-1-0001.flac').labels.gender).toBe('male');
  expect(corpus.annotationOf('train-clean-360/99/1/99-1-0001.flac').labels).toEqual({ speakerId: '99', gender: undefined });
});
