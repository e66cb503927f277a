/**
 * Reads any corpus that has `manifest.csv` or `manifest.jsonl` at its root, with the columns
 * `path,speaker,gender,emotion,activation,valence,session,split`. Only `path` is required. Audio without a row is
 * unlabelled. Silence is cut at both ends by default, because people start a recording before they speak; corpus.json can
 * change that. A wrong row is an error of its own utterance. A manifest that cannot be read is an error of all utterances.
 */
import { genders, splits, streamOf, type EmotionCategory, type Gender, type Labels, type Split } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Annotation, CorpusAnnotations, CorpusReader, NamedSpeaker, ReadOptions } from './corpus-reader.js';
import { categoryOfWord, normalWord, type OwnWords } from './emotion-labels.js';
import { type ManifestRow, manifestRows, textOf } from './manifest-rows.js';
import { quoted, Remarks } from './remarks.js';
import { RowMatcher } from './row-matcher.js';

const columns = ['path', 'speaker', 'gender', 'emotion', 'activation', 'valence', 'session', 'split'];
const genderSynonyms: ReadonlyMap<string, Gender> = new Map([
  ['f', 'female'],
  ['m', 'male'],
  ['w', 'female'],
  ['woman', 'female'],
  ['man', 'male'],
]);

export const manifestReader: CorpusReader = {
  name: 'manifest',
  silence: 'ends',
  annotationPaths: ['manifest.csv', 'manifest.jsonl'],
  recognises: (path) => path === 'manifest.csv' || path === 'manifest.jsonl',
  read: readManifest,
};

function readManifest(files: ReadonlyMap<string, string>, { ownWords = new Map(), classes }: ReadOptions = {}): CorpusAnnotations {
  const classNames = classes ? `the classes ${classes.join(', ')}` : 'the four';
  const remarks = new Remarks();
  const rows = [...files].flatMap(([file, text]) => manifestRows(file, text));
  const paths = rows.map(pathOf);
  const firstRow = new Map<string, ManifestRow>();
  rows.forEach((row, index) => {
    const path = paths[index] ?? '';
    const first = firstRow.get(path);
    if (first) throw invalid(`${row.where}: ${quoted(path)} is listed twice, first in ${first.where}. Remove one of the rows.`);
    firstRow.set(path, row);
  });
  const annotations = rows.map((row) => annotationOf(row, { ownWords, classNames, remarks }));
  const matcher = new RowMatcher(paths);
  return {
    remarks: remarks.toObject(),
    speakers: labelledSpeakers(annotations),
    annotationOf: (path) => {
      const annotation = annotations[matcher.rowOf(path) ?? -1];
      if (annotation instanceof PipelineError) throw annotation;
      return annotation ?? { labels: {} };
    },
    rows: {
      know: (recordings) => matcher.know(recordings),
      takeDisplaced: () => matcher.takeDisplaced(),
      matched: () => matcher.matched(),
      describe: (row) => `${rows[row]?.where}: ${quoted(paths[row])}`,
    },
  };
}

/** A speaker without a labelled row cannot decide about a model, so a hash places it. */
function labelledSpeakers(annotations: readonly (Annotation | PipelineError)[]): NamedSpeaker[] {
  const speakers = new Map<string, NamedSpeaker>();
  for (const annotation of annotations) {
    if (annotation instanceof PipelineError) continue;
    const { labels, split } = annotation;
    const { speakerId, gender } = labels;
    if (speakerId === undefined || streamOf(labels) === 'unlabelled') continue;
    const known = speakers.get(speakerId);
    speakers.set(speakerId, { speakerId, gender: known?.gender ?? gender, split: known?.split ?? split });
  }
  return [...speakers.values()];
}

interface Wording {
  ownWords: OwnWords;
  /** Names the classes, for people. */
  classNames: string;
  remarks: Remarks;
}

function pathOf(row: ManifestRow): string {
  const path = textOf(row, 'path')?.replace(/^(?:\.\/)+/, '');
  if (!path) throw invalid(`${row.where}: no path. Each row needs the path of a recording inside the corpus.`);
  return path;
}

function annotationOf(row: ManifestRow, { ownWords, classNames, remarks }: Wording): Annotation | PipelineError {
  try {
    const [surplus] = row.surplus;
    if (surplus !== undefined) {
      throw invalid(`${row.where}: more values than columns, from ${quoted(surplus)} on. Put values with a delimiter in them in quotes.`);
    }
    for (const name of row.values.keys()) if (!columns.includes(name)) remarks.count(`unknown column ${name.slice(0, 60)}`);
    const emotion = textOf(row, 'emotion');
    const category = categoryOf(emotion, { ownWords, classNames, remarks });
    const labels: Labels = {
      speakerId: textOf(row, 'speaker'),
      gender: genderOf(row),
      category: category ?? undefined,
      activation: dimensionOf(row, 'activation'),
      valence: dimensionOf(row, 'valence'),
      session: textOf(row, 'session'),
    };
    const noCategoryBecause = emotion && !category ? `none of ${classNames}` : undefined;
    return { labels, split: splitOf(row), ...(noCategoryBecause && { noCategoryBecause }) };
  } catch (error) {
    if (error instanceof PipelineError) return error;
    throw error;
  }
}

function genderOf(row: ManifestRow): Gender | undefined {
  const text = textOf(row, 'gender');
  if (!text) return undefined;
  const name = normalWord(text);
  const gender = genders.find((known) => known === name) ?? genderSynonyms.get(name);
  if (!gender)
    throw invalid(`${row.where}: gender ${quoted(text)} is not one of ${genders.join(', ')}. Correct it, or leave the cell empty.`);
  return gender;
}

/** Another emotion is not an error: the utterance gets no category and is counted. */
function categoryOf(text: string | undefined, { ownWords, classNames, remarks }: Wording): EmotionCategory | null {
  if (!text) return null;
  const category = categoryOfWord(text, ownWords);
  if (!category) remarks.count(`emotion ${normalWord(text).slice(0, 60)} is not one of ${classNames}`);
  return category;
}

function dimensionOf(row: ManifestRow, name: 'activation' | 'valence'): number | undefined {
  const text = textOf(row, name);
  if (!text) return undefined;
  const value = Number(row.hasDecimalCommas && /^\d+,\d+$/.test(text) ? text.replace(',', '.') : text);
  if (value >= 1 && value <= 5) return value;
  throw invalid(`${row.where}: ${name} ${quoted(text)} is not a number from 1 to 5. Correct it, or leave the cell empty.`);
}

function splitOf(row: ManifestRow): Split | undefined {
  const text = textOf(row, 'split');
  if (!text) return undefined;
  const split = splits.find((known) => known === text.toLowerCase());
  if (!split) throw invalid(`${row.where}: split ${quoted(text)} is not one of ${splits.join(', ')}. Correct it, or leave the cell empty.`);
  return split;
}

const invalid = (message: string): PipelineError => new PipelineError('MANIFEST_INVALID', message);
