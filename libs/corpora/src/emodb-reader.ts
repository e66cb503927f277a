/**
 * Reads EmoDB, the Berlin database: `wav/<speaker><text><emotion><version>.wav`, such as `03a01Wa.wav`. The emotion's letter
 * comes from the German word (Wut, Freude, Trauer, neutral; Langeweile, Ekel, Angst). The documentation of the corpus lists
 * the sex of the ten speakers.
 */
import type { Gender } from '#contracts/labels.js';
import type { Annotation, CorpusReader } from './corpus-reader.js';
import { categoryLabels, type EmotionWord, type OwnWords } from './emotion-labels.js';

const recording = /(?:^|\/)(03|08|09|1[0-6])([ab]\d\d)([WLEAFTN])([a-z])\.wav$/;
const women = new Set(['08', '09', '13', '14', '16']);
const genderOf = (speaker: string): Gender => (women.has(speaker) ? 'female' : 'male');
const speakers = ['03', '08', '09', '10', '11', '12', '13', '14', '15', '16'].map((speakerId) => ({
  speakerId,
  gender: genderOf(speakerId),
}));

const emotions: ReadonlyMap<string, EmotionWord> = new Map([
  ['W', 'angry'],
  ['F', 'happy'],
  ['T', 'sad'],
  ['N', 'neutral'],
  ['L', 'not boredom'],
  ['E', 'not disgust'],
  ['A', 'not fear'],
]);

export const emodbReader: CorpusReader = {
  name: 'emodb',
  silence: 'ends',
  annotationPaths: [],
  recognises: (path) => recording.test(path),
  read: (_files, { ownWords } = {}) => ({ remarks: {}, speakers, annotationOf: (path) => annotationOf(path, ownWords) }),
};

function annotationOf(path: string, ownWords?: OwnWords): Annotation {
  const [, speaker, , code = ''] = recording.exec(path) ?? [];
  if (!speaker) return { labels: {} };
  const { category, noCategoryBecause } = categoryLabels(emotions.get(code), ownWords);
  return { labels: { speakerId: speaker, gender: genderOf(speaker), category }, noCategoryBecause };
}
