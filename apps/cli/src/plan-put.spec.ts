import { describe, expect, it } from 'vitest';
import { planPut } from './plan-put.js';

describe('the plan of a put', () => {
  it('sorts files into annotations, recordings and files that are left out', () => {
    const plan = planPut(['a.wav', 'b/c.FLAC', 'manifest.csv', 'more.tar.gz', 'notes.txt', 'x.pdf', 'README']);
    expect(plan).toEqual({
      annotations: ['manifest.csv'],
      recordings: ['a.wav', 'b/c.FLAC'],
      archives: ['more.tar.gz'],
      others: ['notes.txt', 'x.pdf', 'README'],
      warnings: ['3 files are left out (neither recording nor annotation): 1 × .txt, 1 × .pdf, 1 × no ending'],
    });
  });

  it('warns when the chosen reader ignores a manifest of the folder', () => {
    expect(planPut(['manifest.csv', '03-01-05-01-01-01-01.wav'], 'ravdess').warnings).toEqual([
      'the reader ravdess does not read manifest.csv',
    ]);
  });

  it('warns when the folder has no file from which the reader takes labels', () => {
    expect(planPut(['a.wav']).warnings).toEqual([
      'there is no manifest.csv: without it the reader manifest has no labels for these recordings',
    ]);
    expect(planPut(['a.wav'], 'iemocap').warnings).toEqual([expect.stringMatching(/^there is no .*EmoEvaluation\/: without it/)]);
    // The reader takes the labels from the names.
    expect(planPut(['Actor_01/03-01-05-01-01-01-01.wav'], 'ravdess').warnings).toEqual([]);
    // The manifest may be in the archive.
    expect(planPut(['a.wav', 'all.zip']).warnings).toEqual([]);
  });

  it('warns when a folder holds two corpora, unless --reader names one', () => {
    const paths = ['Actor_01/03-01-05-01-01-01-01.wav', 'AudioWAV/1001_DFA_ANG_XX.wav'];
    expect(planPut(paths).warnings).toEqual([
      'the folder looks like ravdess and crema-d. Ingest cannot tell which it is: name one with --reader',
    ]);
    expect(planPut(paths, 'ravdess').warnings).toEqual([]);
  });

  it('warns when the folder brings options of its own and a reader was chosen', () => {
    expect(planPut(['corpus.json', 'a.wav'], 'emodb').warnings).toEqual([
      "--reader emodb is ignored: the folder's own corpus.json chooses the reader",
    ]);
    expect(planPut(['corpus.json', 'a.wav']).warnings).toEqual([]);
  });

  it('warns of a manifest that is not at the top of the folder', () => {
    expect(planPut(['calls/a.wav', 'calls/manifest.csv']).warnings[1]).toBe(
      'calls/manifest.csv will not be read, because it is not at the top of the folder. Put the folder calls instead',
    );
    expect(planPut(['a.wav', 'manifest.csv', 'old/manifest.csv']).warnings).toEqual([expect.stringMatching(/^1 file is left out/)]);
  });

  it('warns of nothing for annotations alone, which may come after their recordings', () => {
    expect(planPut(['manifest.csv']).warnings).toEqual([]);
  });
});
