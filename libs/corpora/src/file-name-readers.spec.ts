/** Readers of corpora whose file names give the acted emotion. */
import { expect, it } from 'vitest';
import { cremaDReader } from './crema-d-reader.js';
import { emodbReader } from './emodb-reader.js';
import { ravdessReader } from './ravdess-reader.js';

const ravdess = (path: string) => ravdessReader.read(new Map()).annotationOf(path);
const demographics = 'ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1002,21,Female,Caucasian,Not Hispanic\n,,,\n';
const crema = cremaDReader.read(new Map([['VideoDemographics.csv', demographics]]));
const emodb = (path: string) => emodbReader.read(new Map()).annotationOf(path);

it.each([
  ['01', 'neutral'],
  ['03', 'happy'],
  ['04', 'sad'],
  ['05', 'angry'],
])('RAVDESS code %s is %s', (code, category) => {
  expect(ravdess(`Actor_11/03-01-${code}-01-02-01-11.wav`).labels).toEqual({
    speakerId: '11',
    gender: 'male',
    category,
    session: 'speech',
  });
});

it('RAVDESS: even actors are women, song has its own session, calm and similar emotions have no class', () => {
  expect(ravdess('Audio_Song_Actors_01-24/Actor_12/03-02-03-02-02-02-12.wav').labels).toMatchObject({ gender: 'female', session: 'song' });
  expect(ravdess('Actor_12/03-01-02-01-02-01-12.wav')).toMatchObject({ labels: { category: undefined }, noCategoryBecause: 'calm' });
  expect(ravdess('Actor_12/03-01-08-01-02-01-12.wav').noCategoryBecause).toBe('surprise');
  expect(ravdess('Actor_12/03-01-03-01-02-01-11.wav').labels).toEqual({}); // another actor's, misplaced
});

it.each([
  ['ANG', 'angry'],
  ['HAP', 'happy'],
  ['NEU', 'neutral'],
  ['SAD', 'sad'],
])('CREMA-D code %s is %s at any level', (code, category) => {
  for (const level of ['LO', 'MD', 'HI', 'XX', 'X']) {
    expect(crema.annotationOf(`AudioWAV/1001_IEO_${code}_${level}.wav`).labels).toEqual({ speakerId: '1001', gender: 'male', category });
  }
});

it('CREMA-D: the sex comes from the demographics; fear and disgust have no class', () => {
  expect(crema.annotationOf('AudioWAV/1002_DFA_FEA_XX.wav')).toEqual({
    labels: { speakerId: '1002', gender: 'female', category: undefined },
    noCategoryBecause: 'fear',
  });
  expect(crema.annotationOf('AudioWAV/1091_WSI_SAD_XX.wav').labels).toEqual({ speakerId: '1091', gender: undefined, category: 'sad' });
  expect(crema.remarks).toEqual({ 'an actor without id and sex': 1 });
});

it.each([
  ['W', 'angry'],
  ['F', 'happy'],
  ['T', 'sad'],
  ['N', 'neutral'],
])('EmoDB letter %s is %s', (letter, category) => {
  expect(emodb(`wav/03a01${letter}a.wav`).labels).toEqual({ speakerId: '03', gender: 'male', category });
});

it('EmoDB: boredom, disgust and fear have no class; five of the ten speakers are women', () => {
  expect(emodb('wav/16b10Lb.wav')).toMatchObject({ labels: { speakerId: '16', gender: 'female' }, noCategoryBecause: 'boredom' });
  const speakers = ['03', '08', '09', '10', '11', '12', '13', '14', '15', '16'];
  expect(speakers.filter((speaker) => emodb(`wav/${speaker}a01Na.wav`).labels.gender === 'female')).toEqual(['08', '09', '13', '14', '16']);
});
