/**
 * Reads IEMOCAP (paper, Section IV-A.1): `Session<n>/sentences/wav/<dialog>/<turn>.wav`, with labels in
 * `Session<n>/dialog/EmoEvaluation/<dialog>.txt`. The release's folder may stand in front. The line of a turn is
 *
 *     [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
 *
 * It gives the majority's emotion (`xxx` if there was none) and the means of valence, activation and dominance. The reader
 * skips the lines of single raters (`C-E2:`, `A-E3:`) and the header (`% [START_TIME - ...`). Each of the five sessions has
 * one woman and one man. The speaker is the session and the letter before the turn's number. The letter in the dialog's
 * name only says who wore the markers.
 *
 * The release also has each dialogue as one file (`dialog/wav`, `dialog/avi`). The reader leaves these out.
 *
 * Does not promise the paper's number of utterances: the paper does not say if it counts `hap`, `exc` or both.
 */
import type { Annotation, CorpusAnnotations, CorpusReader, ReadOptions } from './corpus-reader.js';
import { categoryLabels, type EmotionWord } from './emotion-labels.js';
import { iemocapEdges } from './levels.js';
import { Remarks } from './remarks.js';

const recording = /(?:^|\/)Session([1-5])\/sentences\/wav\/[^/]+\/(Ses0[1-5][FM]_[^/]+_([FM])[A-Z]?\d+)\.wav$/;
/** Both speakers of a session, one of whom may be held out, without a label. */
const dialogue = /(?:^|\/)Session[1-5]\/dialog\/(?!EmoEvaluation\/)/;
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

const speakers = sessions.flatMap((session) => [
  { speakerId: `Ses0${session}F`, gender: 'female' as const },
  { speakerId: `Ses0${session}M`, gender: 'male' as const },
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
  leavesOut: (path) => (dialogue.test(path) ? 'a whole dialogue, whose turns are recordings of their own' : undefined),
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
    speakers,
    annotationOf: (path) => {
      const [, session, turn = '', letter] = recording.exec(path) ?? [];
      if (!session) return { labels: {} };
      const { labels = {}, noCategoryBecause = 'not annotated' } = turns.get(turn) ?? {};
      const speaker = { speakerId: `Ses0${session}${letter}`, gender: letter === 'F' ? 'female' : 'male', session } as const;
      return { labels: { ...labels, ...speaker }, noCategoryBecause: labels.category ? undefined : noCategoryBecause };
    },
  };
}

/** A few turns of the release have a mean outside the scale, 5.5 or 0. Such a mean is not a label. */
function onScale(mean: number): number | undefined {
  return mean >= 1 && mean <= 5 ? mean : undefined;
}
