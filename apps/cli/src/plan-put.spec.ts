import { describe, expect, it } from 'vitest';
import { planPut } from './plan-put.js';

describe('the plan of a put', () => {
  it('sorts files into what is sent first, what is sent, and what is left out', () => {
    const plan = planPut(['a.wav', 'b/c.FLAC', 'manifest.csv', 'more.tar.gz', 'notes.txt', 'x.pdf', 'README']);
    expect(plan).toEqual({
      annotations: ['manifest.csv'],
      recordings: ['a.wav', 'b/c.FLAC'],
      archives: ['more.tar.gz'],
      others: ['notes.txt', 'x.pdf', 'README'],
      warnings: ['3 files left out, neither recording nor annotation: 1 × .txt, 1 × .pdf, 1 × no ending'],
    });
  });

  it('warns when a chosen reader passes over a manifest that is there', () => {
    expect(planPut(['manifest.csv', '03-01-05-01-01-01-01.wav'], 'ravdess').warnings).toEqual([
      'manifest.csv will not be read: the reader is ravdess',
    ]);
  });

  it('warns when nothing is there that the reader takes labels from', () => {
    expect(planPut(['a.wav']).warnings).toEqual([
      'there is no manifest.csv: until one comes, the reader manifest has no labels for these recordings',
    ]);
    expect(planPut(['a.wav'], 'iemocap').warnings).toEqual([expect.stringMatching(/^there is no .*EmoEvaluation\/: until one comes/)]);
    // Their names tell all.
    expect(planPut(['Actor_01/03-01-05-01-01-01-01.wav'], 'ravdess').warnings).toEqual([]);
    // It may be in the archive.
    expect(planPut(['a.wav', 'all.zip']).warnings).toEqual([]);
  });

  it('warns when two corpora lie in one folder, unless one is named', () => {
    const paths = ['Actor_01/03-01-05-01-01-01-01.wav', 'AudioWAV/1001_DFA_ANG_XX.wav'];
    expect(planPut(paths).warnings).toEqual([
      'it looks like ravdess and crema-d: ingest will wait for you to say which; name one with --reader',
    ]);
    expect(planPut(paths, 'ravdess').warnings).toEqual([]);
  });

  it('warns when the folder brings options of its own and a reader was chosen', () => {
    expect(planPut(['corpus.json', 'a.wav'], 'emodb').warnings).toEqual([
      'the folder has a corpus.json of its own, which says how it is read: --reader emodb is not used',
    ]);
    expect(planPut(['corpus.json', 'a.wav']).warnings).toEqual([]);
  });

  it('warns of a manifest that is not at the top of the folder', () => {
    expect(planPut(['calls/a.wav', 'calls/manifest.csv']).warnings[1]).toBe(
      'calls/manifest.csv will not be read, since it is not at the top of the folder: put the folder calls instead',
    );
    expect(planPut(['a.wav', 'manifest.csv', 'old/manifest.csv']).warnings).toEqual([expect.stringMatching(/^1 file left out/)]);
  });

  it('of annotations alone warns of nothing: they may come after their recordings', () => {
    expect(planPut(['manifest.csv']).warnings).toEqual([]);
  });
});
