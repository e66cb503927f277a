/**
 * The reader for any corpus: `manifest.csv` or `manifest.jsonl` at its root, with
 * `path,speaker,gender,emotion,activation,valence,session,split`; only `path` is required. Audio that the manifest does
 * not list is unlabelled. A row that is wrong is that utterance's own error; a manifest that cannot be read is everyone's.
 */
import { parse } from 'csv-parse/sync';
import { emotionCategories, genders, splits, type EmotionCategory, type Gender, type Labels, type Split } from '#contracts/labels.js';
import { parseOutsideJson, usualMaxDepth } from '#contracts/outside-json.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Annotation, CorpusAnnotations, CorpusReader } from './corpus-reader.js';

type Row = Record<string, unknown>;
/** Where a row keeps values that no column is for; no column has an empty name. */
const surplus = '';

const maxLineBytes = 1_000_000;
const columns = ['path', 'speaker', 'gender', 'emotion', 'activation', 'valence', 'session', 'split'];
/** Maps, since a foreign word such as "constructor" is a property of every plain object. */
const emotionSynonyms: ReadonlyMap<string, EmotionCategory> = new Map([
  ['anger', 'angry'],
  ['ang', 'angry'],
  ['happiness', 'happy'],
  ['hap', 'happy'],
  ['excited', 'happy'],
  ['exc', 'happy'],
  ['neu', 'neutral'],
  ['sadness', 'sad'],
]);
const genderSynonyms: ReadonlyMap<string, Gender> = new Map([
  ['f', 'female'],
  ['m', 'male'],
  ['w', 'female'],
  ['woman', 'female'],
  ['man', 'male'],
]);

export const manifestReader: CorpusReader = {
  name: 'manifest',
  silence: 'none',
  annotationPaths: ['manifest.csv', 'manifest.jsonl'],
  recognises: (path) => path === 'manifest.csv' || path === 'manifest.jsonl',
  read: readManifest,
};

function readManifest(files: ReadonlyMap<string, string>): CorpusAnnotations {
  const remarks: Record<string, number> = {};
  const annotations = new Map<string, Annotation | PipelineError>();
  for (const [file, text] of files) {
    for (const [index, row] of rowsOf(file, text).entries()) {
      const where = `${file}, row ${index + 1}`;
      const path = field(row, 'path')?.replace(/^\.\//, '');
      if (!path) throw new PipelineError('MANIFEST_INVALID', `${where}: no path`);
      if (annotations.has(path)) throw new PipelineError('MANIFEST_INVALID', `${where}: ${path} is listed twice`);
      annotations.set(path, annotationOf(row, where, remarks));
    }
  }
  return {
    remarks,
    annotationOf: (path) => {
      const annotation = annotations.get(path);
      if (annotation instanceof PipelineError) throw annotation;
      return annotation ?? { labels: {} };
    },
  };
}

function rowsOf(file: string, text: string): Row[] {
  try {
    if (file.endsWith('.jsonl')) return jsonRowsOf(file, text);
    const [header = [], ...records] = parse(text, { bom: true, skip_empty_lines: true, trim: true, relax_column_count: true });
    const names = header.map((name) => name.trim().toLowerCase());
    return records.map((values) => ({
      ...Object.fromEntries(names.map((name, column) => [name, values[column]])),
      ...(values.length > names.length && { [surplus]: values.slice(names.length).join(', ') }),
    }));
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    throw new PipelineError('MANIFEST_INVALID', `${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** One object a line. */
function jsonRowsOf(file: string, text: string): Row[] {
  return text.split('\n').flatMap((line, index): Row[] => {
    if (line.trim() === '') return [];
    const noun = `${file}, line ${index + 1}`;
    const value = parseOutsideJson(line, { maxBytes: maxLineBytes, maxDepth: usualMaxDepth, code: 'MANIFEST_INVALID', noun });
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return [value as Row];
    const found = Array.isArray(value) ? 'an array' : JSON.stringify(value).slice(0, 40);
    throw new PipelineError('MANIFEST_INVALID', `${noun} is ${found}; each line must be one object, such as {"path": "a.wav"}`);
  });
}

function field(row: Row, name: string): string | undefined {
  const value = Object.hasOwn(row, name) ? row[name] : undefined;
  if (typeof value === 'object' && value !== null) return JSON.stringify(value).slice(0, 200);
  return value === undefined || value === null || value === '' ? undefined : String(value).trim();
}

function annotationOf(row: Row, where: string, remarks: Record<string, number>): Annotation | PipelineError {
  try {
    if (row[surplus]) throw new PipelineError('MANIFEST_INVALID', `${where}: more values than columns, from "${String(row[surplus])}" on`);
    for (const name of Object.keys(row)) if (!columns.includes(name)) count(remarks, `unknown column ${name}`);
    const labels: Labels = {
      speakerId: field(row, 'speaker'),
      gender: genderOf(field(row, 'gender'), where),
      category: categoryOf(field(row, 'emotion'), remarks),
      activation: dimensionOf(row, 'activation', where),
      valence: dimensionOf(row, 'valence', where),
      session: field(row, 'session'),
    };
    const noCategoryBecause = field(row, 'emotion') && !labels.category ? 'none of the four' : undefined;
    return { labels, split: splitOf(field(row, 'split'), where), ...(noCategoryBecause && { noCategoryBecause }) };
  } catch (error) {
    if (error instanceof PipelineError) return error;
    throw error;
  }
}

function genderOf(text: string | undefined, where: string): Gender | undefined {
  if (!text) return undefined;
  const name = text.toLowerCase();
  const gender = genders.find((known) => known === name) ?? genderSynonyms.get(name);
  if (!gender) throw new PipelineError('MANIFEST_INVALID', `${where}: gender "${text}" is not one of ${genders.join(', ')}`);
  return gender;
}

/** Emotions beside the four are no error: such an utterance has no category, and is counted. */
function categoryOf(text: string | undefined, remarks: Record<string, number>): EmotionCategory | undefined {
  if (!text) return undefined;
  const name = text.toLowerCase();
  const category = emotionCategories.find((known) => known === name) ?? emotionSynonyms.get(name);
  if (!category) count(remarks, `emotion ${name} is not one of the four`);
  return category;
}

function dimensionOf(row: Row, name: 'activation' | 'valence', where: string): number | undefined {
  const text = field(row, name);
  if (!text) return undefined;
  const value = Number(text);
  if (!(value >= 1 && value <= 5)) throw new PipelineError('MANIFEST_INVALID', `${where}: ${name} "${text}" is not a number from 1 to 5`);
  return value;
}

function splitOf(text: string | undefined, where: string): Split | undefined {
  if (!text) return undefined;
  const split = splits.find((known) => known === text.toLowerCase());
  if (!split) throw new PipelineError('MANIFEST_INVALID', `${where}: split "${text}" is not one of ${splits.join(', ')}`);
  return split;
}

function count(remarks: Record<string, number>, reason: string): void {
  remarks[reason] = (remarks[reason] ?? 0) + 1;
}
