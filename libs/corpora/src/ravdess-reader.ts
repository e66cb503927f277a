/**
 * RAVDESS: `Actor_<nn>/<modality>-<channel>-<emotion>-<intensity>-<statement>-<repetition>-<actor>.wav`; odd actors are men,
 * even ones women. Speech and song (channel 02) are both taken: both carry the emotion, and song has its own session name
 * so that it can be told apart. A second of silence lies before and after each sentence, so the reader cuts silence at both ends:
 * without that 1,440 recordings give 2,829 tiles, nearly half of them black; with it, 1,486. Calm (02) is none of the four: it was recorded beside neutral as something else.
 */
import type { Annotation, CorpusReader } from './corpus-reader.js';
import { categoryLabels, type EmotionWord, type OwnWords } from './emotion-labels.js';

const recording = /(?:^|\/)Actor_(\d\d)\/0[13]-(0[12])-(0[1-8])-0[12]-0[12]-0[12]-\1\.(?:wav|mp4|flac)$/;

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

export const ravdessReader: CorpusReader = {
  name: 'ravdess',
  silence: 'ends',
  annotationPaths: [],
  recognises: (path) => recording.test(path),
  read: (_files, { ownWords } = {}) => ({ remarks: {}, annotationOf: (path) => annotationOf(path, ownWords) }),
};

function annotationOf(path: string, ownWords?: OwnWords): Annotation {
  const [, actor, channel, code = ''] = recording.exec(path) ?? [];
  if (!actor) return { labels: {} };
  const { category, noCategoryBecause } = categoryLabels(emotions.get(code), ownWords);
  const gender = Number(actor) % 2 === 1 ? 'male' : 'female';
  return { labels: { speakerId: actor, gender, category, session: channel === '02' ? 'song' : 'speech' }, noCategoryBecause };
}
