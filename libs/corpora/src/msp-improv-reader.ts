/**
 * Reads MSP-IMPROV (paper, Section IV-A.2): `Audio/session<n>/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav`, with labels in
 * `Evalution.txt` (the release spells it so). The line of an utterance is
 *
 *     UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:2.400000; V:2.600000; D:3.200000; N:3.400000;
 *
 * It gives the majority's class (A, H, S, N; O for another, X for no agreement), then the means of activation, valence,
 * dominance and naturalness. Lines of single workers follow it. Each of the six sessions has one woman (F01-F06) and one
 * man (M01-M06). The speaker is the fourth part of the name.
 *
 * The paper's class counts do not add up to its total. This reader follows the corpus.
 */
import type { Annotation, CorpusAnnotations, CorpusReader, ReadOptions } from './corpus-reader.js';
import { categoryLabels, type EmotionWord } from './emotion-labels.js';
import { mspImprovEdges } from './levels.js';
import { Remarks } from './remarks.js';

const recording = /(?:^|\/)MSP-IMPROV-(S\d+[A-Z]-([FM])0?(\d+)-[A-Z]-[FM]{2}\d+)\.wav$/;
const utteranceLine = /^UTD-IMPROV-(\S+)\.avi\s*;\s*(\w)\s*;(.*)$/;

const emotions: ReadonlyMap<string, EmotionWord> = new Map([
  ['A', 'angry'],
  ['H', 'happy'],
  ['S', 'sad'],
  ['N', 'neutral'],
  ['O', 'not another emotion'],
  ['X', 'not no agreement'],
]);

const speakers = ['01', '02', '03', '04', '05', '06'].flatMap((number) => [
  { speakerId: `F${number}`, gender: 'female' as const },
  { speakerId: `M${number}`, gender: 'male' as const },
]);

export const mspImprovReader: CorpusReader = {
  name: 'msp-improv',
  silence: 'none',
  levels: mspImprovEdges,
  annotationPaths: ['Evalution.txt', 'Evaluation.txt', 'MSP-IMPROV/Evalution.txt', 'MSP-IMPROV/Evaluation.txt'],
  recognises: (path) => recording.test(path),
  read: readEvaluation,
};

function readEvaluation(files: ReadonlyMap<string, string>, { ownWords }: ReadOptions = {}): CorpusAnnotations {
  const utterances = new Map<string, Annotation>();
  const remarks = new Remarks();
  for (const line of [...files.values()].flatMap((text) => text.split(/\r?\n/))) {
    const [, utterance, code = '', means = ''] = utteranceLine.exec(line.trim()) ?? [];
    if (!utterance) continue; // a single worker's, or empty
    const { category, noCategoryBecause } = categoryLabels(emotions.get(code), ownWords);
    if (noCategoryBecause) remarks.count(noCategoryBecause);
    utterances.set(utterance, { labels: { category, activation: meanOf(means, 'A'), valence: meanOf(means, 'V') }, noCategoryBecause });
  }
  return {
    remarks: remarks.toObject(),
    speakers,
    annotationOf: (path) => {
      const [, utterance = '', letter, number] = recording.exec(path) ?? [];
      if (!letter || !number) return { labels: {} };
      const { labels = {}, noCategoryBecause = 'not annotated' } = utterances.get(utterance) ?? {};
      const gender = letter === 'F' ? 'female' : 'male';
      const speaker = { speakerId: `${letter}${number.padStart(2, '0')}`, gender, session: number } as const;
      return { labels: { ...labels, ...speaker }, noCategoryBecause: labels.category ? undefined : noCategoryBecause };
    },
  };
}

function meanOf(means: string, dimension: 'A' | 'V'): number | undefined {
  const value = Number(new RegExp(`(?:^|;)\\s*${dimension}:\\s*([\\d.]+)`).exec(means)?.[1]);
  return value >= 1 && value <= 5 ? value : undefined;
}
