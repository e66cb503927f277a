/**
 * IEMOCAP (paper, Section IV-A.1): `Session<n>/sentences/wav/<dialog>/<turn>.wav`, labels in
 * `Session<n>/dialog/EmoEvaluation/<dialog>.txt`, with or without the release's folder in front. A turn's line is
 *
 *     [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
 *
 * with the majority's emotion (`xxx`: there was none) and the means of valence, activation and dominance. Lines of single
 * raters (`C-E2:`, `A-E3:`) and the header (`% [START_TIME - ...`) are passed over. Five sessions of one woman and one man: the
 * speaker is the session and the letter before the turn's number, not the one in the dialog's name, which says who wore
 * the markers.
 *
 * Does not promise the number of utterances of the paper: which of `hap` and `exc` it counts, it does not say.
 */
import type { Annotation, CorpusAnnotations, CorpusReader, ReadOptions } from './corpus-reader.js';
import { categoryLabels, type EmotionWord } from './emotion-labels.js';
import { iemocapEdges } from './levels.js';
import { Remarks } from './remarks.js';

const recording = /(?:^|\/)Session([1-5])\/sentences\/wav\/[^/]+\/(Ses0[1-5][FM]_[^/]+_([FM])[A-Z]?\d+)\.wav$/;
const turnLine = /^\[\s*[\d.]+\s*-\s*[\d.]+\s*\]\s+(Ses\S+)\s+(\w+)\s+\[\s*([\d.]+)\s*,\s*([\d.]+)\s*,\s*([\d.]+)\s*\]/;
const roots = ['', 'IEMOCAP_full_release/'];
const sessions = [1, 2, 3, 4, 5];

const emotions: ReadonlyMap<string, EmotionWord> = new Map([
  ['ang', 'angry'],
  ['hap', 'happy'],
  ['exc', 'happy'],
  ['neu', 'neutral'],
  ['sad', 'sad'],
  ['fru', 'not frustration'],
  ['fea', 'not fear'],
  ['sur', 'not surprise'],
  ['dis', 'not disgust'],
  ['oth', 'not another emotion'],
  ['xxx', 'not no agreement'],
]);

export const iemocapReader: CorpusReader = {
  name: 'iemocap',
  silence: 'none',
  levels: iemocapEdges,
  annotationPaths: [],
  annotationFolders: {
    folders: roots.flatMap((root) => sessions.map((session) => `${root}Session${session}/dialog/EmoEvaluation/`)),
    files: /^Ses0[1-5][FM]_[^/]+\.txt$/,
  },
  recognises: (path) => recording.test(path),
  read: readEvaluations,
};

function readEvaluations(files: ReadonlyMap<string, string>, { ownWords }: ReadOptions = {}): CorpusAnnotations {
  const turns = new Map<string, Annotation>();
  const remarks = new Remarks();
  for (const line of [...files.values()].flatMap((text) => text.split(/\r?\n/))) {
    if (!line.startsWith('[')) continue;
    const [, turn, emotion = '', valence, activation] = turnLine.exec(line) ?? [];
    if (!turn) remarks.count('a turn that cannot be read');
    else {
      const { category, noCategoryBecause } = categoryLabels(emotions.get(emotion), ownWords);
      if (noCategoryBecause) remarks.count(noCategoryBecause);
      const labels = { category, activation: onScale(Number(activation)), valence: onScale(Number(valence)) };
      turns.set(turn, { labels, noCategoryBecause });
    }
  }
  return {
    remarks: remarks.toObject(),
    annotationOf: (path) => {
      const [, session, turn = '', letter] = recording.exec(path) ?? [];
      if (!session) return { labels: {} };
      const { labels = {}, noCategoryBecause = 'not annotated' } = turns.get(turn) ?? {};
      const speaker = { speakerId: `Ses0${session}${letter}`, gender: letter === 'F' ? 'female' : 'male', session } as const;
      return { labels: { ...labels, ...speaker }, noCategoryBecause: labels.category ? undefined : noCategoryBecause };
    },
  };
}

/** A few turns of the release have a mean of 5.5 or of 0, which the scale does not know: those are no label. */
function onScale(mean: number): number | undefined {
  return mean >= 1 && mean <= 5 ? mean : undefined;
}
