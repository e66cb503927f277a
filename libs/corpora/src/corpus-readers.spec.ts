import { describe, expect, it } from 'vitest';
import { isAnnotationPath, recogniseReaders } from './corpus-readers.js';

const recognised = (...paths: string[]) => recogniseReaders(paths).map(({ name }) => name);

describe('the reader of a corpus', () => {
  it.each([
    ['librispeech', 'dev-clean/84/121123/84-121123-0000.flac'],
    ['iemocap', 'Session3/sentences/wav/Ses03F_impro02/Ses03F_impro02_M011.wav'],
    ['iemocap', 'IEMOCAP_full_release/Session1/dialog/EmoEvaluation/Ses01F_impro01.txt'],
    ['msp-improv', 'Audio/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav'],
    ['ravdess', 'Actor_12/03-01-05-01-02-01-12.wav'],
    ['crema-d', 'AudioWAV/1001_DFA_ANG_XX.wav'],
    ['emodb', 'wav/03a01Wa.wav'],
  ])('%s by %s', (name, path) => {
    expect(recognised('README.txt', path)).toEqual([name]);
  });

  it('is the manifest reader if there is a manifest, or if no reader recognises the corpus', () => {
    expect(recognised('manifest.csv', 'wav/03a01Wa.wav')).toEqual(['manifest']);
    expect(recognised('x/1.wav')).toEqual(['manifest']);
  });

  it('is ambiguous if a folder holds two corpora', () => {
    expect(recognised('wav/03a01Wa.wav', 'Actor_12/03-01-05-01-02-01-12.wav')).toEqual(['emodb', 'ravdess']);
  });
});

describe('an annotation file', () => {
  it.each([
    'corpus.json',
    'manifest.jsonl',
    'LibriSpeech/SPEAKERS.TXT',
    'Evalution.txt',
    'VideoDemographics.csv',
    'Session5/dialog/EmoEvaluation/Ses05M_script03_2.txt',
  ])('%s', (path) => expect(isAnnotationPath(path)).toBe(true));

  it.each([
    'a/manifest.csv',
    'Session5/dialog/EmoEvaluation/Categorical/Ses05M_script03_2_e1_cat.txt',
    'Session5/dialog/EmoEvaluation/._Ses05M_script03_2.txt',
    'Session5/dialog/transcriptions/Ses05M_script03_2.txt',
    'AudioWAV/1001_DFA_ANG_XX.wav',
  ])('not %s', (path) => expect(isAnnotationPath(path)).toBe(false));
});
