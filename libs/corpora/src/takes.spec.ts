import { describe, expect, it } from 'vitest';
import { cremaDReader } from './crema-d-reader.js';
import { iemocapReader } from './iemocap-reader.js';
import { ravdessReader } from './ravdess-reader.js';
import { leftOutOf, leftOutWarnings, Takes } from './takes.js';

const kept = (reader: Parameters<typeof leftOutOf>[0], paths: string[]): string[] => {
  const leftOut = new Set(leftOutOf(reader, paths).map(([path]) => path));
  return paths.filter((path) => !leftOut.has(path));
};
const orders = (paths: string[]): string[][] => [paths, paths.toReversed()];

describe('the recordings of a corpus', () => {
  it('are the turns of IEMOCAP, and not its whole dialogues', () => {
    const turn = 'IEMOCAP_full_release/Session5/sentences/wav/Ses05F_impro01/Ses05F_impro01_F000.wav';
    const dialogue = 'IEMOCAP_full_release/Session5/dialog/wav/Ses05F_impro01.wav';
    expect(kept(iemocapReader, [turn, dialogue, 'Session1/dialog/avi/DivX/Ses01F_impro01.mp4'])).toEqual([turn]);
    expect(leftOutWarnings(leftOutOf(iemocapReader, [dialogue]))).toEqual([
      `1 recording is left out, such as "${dialogue}": a whole dialogue, whose turns are recordings of their own`,
    ]);
  });

  it('are the WAV files of CREMA-D, and its MP3 files where there is no WAV', () => {
    const [wav, mp3] = ['AudioWAV/1001_DFA_ANG_XX.wav', 'AudioMP3/1001_DFA_ANG_XX.mp3'];
    for (const paths of orders([wav, mp3])) expect(kept(cremaDReader, paths)).toEqual([wav]);
    expect(kept(cremaDReader, [mp3, 'notes/hum.wav'])).toEqual([mp3, 'notes/hum.wav']);
  });

  it('are one file for each take of RAVDESS: sound before film, the shortest path of copies', () => {
    const [sound, film, copy] = [
      'Actor_05/03-01-05-01-01-01-05.wav',
      'Video/Actor_05/01-01-05-01-01-01-05.mp4',
      'all/Actor_05/03-01-05-01-01-01-05.wav',
    ];
    for (const paths of orders([sound, film, copy])) expect(kept(ravdessReader, paths)).toEqual([sound]);
    const song = 'Actor_05/03-02-05-01-01-01-05.wav';
    expect(kept(ravdessReader, [film, song, 'Actor_05/02-01-05-01-01-01-05.mp4'])).toEqual([film, song]);
  });

  it('change when a better copy comes, and the former one is told', () => {
    const takes = new Takes(cremaDReader);
    const [wav, mp3] = ['AudioWAV/1001_DFA_ANG_XX.wav', 'AudioMP3/1001_DFA_ANG_XX.mp3'];
    expect(takes.leftOut(mp3)).toBeUndefined();
    expect(takes.leftOut(wav)).toBeUndefined();
    expect(takes.takeDisplaced()).toEqual([mp3]);
    expect(takes.leftOut(mp3)).toMatch(/same take/);
    takes.know([]); // the WAV was deleted
    expect(takes.leftOut(mp3)).toBeUndefined();
  });
});
