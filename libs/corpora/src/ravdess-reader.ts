/**
 * Reads RAVDESS: `Actor_<nn>/<modality>-<channel>-<emotion>-<intensity>-<statement>-<repetition>-<actor>.wav`. Actors with
 * odd numbers are men, those with even numbers women. The reader takes both speech and song (channel 02), since both carry
 * the emotion. Song has a session name of its own, to tell it apart. A second of silence lies before and after each
 * sentence, so the reader cuts silence at both ends: 1,440 recordings then give 1,486 tiles. Without the cut they give 2,829
 * tiles, nearly half of them black. If a take is there as sound (03) and as film (01), or in two folders, the reader takes one
 * file. Calm (02) has no class: RAVDESS recorded it as distinct from neutral.
 */
import type { Gender } from '#contracts/labels.js';
import type { Annotation, CorpusReader, NamedSpeaker } from './corpus-reader.js';
import { categoryLabels, type EmotionWord, type OwnWords } from './emotion-labels.js';

const recording = /(?:^|\/)Actor_(\d\d)\/0[13]-(0[12])-(0[1-8])-0[12]-0[12]-0[12]-\1\.(?:wav|mp4|flac)$/;

/** Modality 02. */
const videoOnly = /(?:^|\/)Actor_\d\d\/02-0[12]-[\d-]+\.mp4$/;

const emotions: ReadonlyMap<string, EmotionWord> = new Map([
  ['01', 'neutral'],
  ['02', 'not calm'],
  ['03', 'happy'],
  ['04', 'sad'],
  ['05', 'angry'],
  ['06', 'not fear'],
  ['07', 'not disgust'],
  ['08', 'not surprise'],
]);

const genderOf = (actor: string): Gender => (Number(actor) % 2 === 1 ? 'male' : 'female');
const actors: readonly NamedSpeaker[] = Array.from({ length: 24 }, (_, index) => {
  const speakerId = String(index + 1).padStart(2, '0');
  return { speakerId, gender: genderOf(speakerId) };
});

export const ravdessReader: CorpusReader = {
  name: 'ravdess',
  silence: 'ends',
  annotationPaths: [],
  recognises: (path) => recording.test(path),
  leavesOut: (path) => (videoOnly.test(path) ? 'a video without sound' : undefined),
  takeOf: (path) => (recording.test(path) ? path.slice(path.lastIndexOf('/') + 3, path.lastIndexOf('.')) : undefined),
  read: (_files, { ownWords } = {}) => ({ remarks: {}, speakers: actors, annotationOf: (path) => annotationOf(path, ownWords) }),
};

function annotationOf(path: string, ownWords?: OwnWords): Annotation {
  const [, actor, channel, code = ''] = recording.exec(path) ?? [];
  if (!actor) return { labels: {} };
  const { category, noCategoryBecause } = categoryLabels(emotions.get(code), ownWords);
  return {
    labels: { speakerId: actor, gender: genderOf(actor), category, session: channel === '02' ? 'song' : 'speech' },
    noCategoryBecause,
  };
}
