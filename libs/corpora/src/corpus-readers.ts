/** All readers, and how one is recognised. A corpus that no reader recognises is read as a manifest without rows. */
import type { CorpusReader } from './corpus-reader.js';
import { cremaDReader } from './crema-d-reader.js';
import { emodbReader } from './emodb-reader.js';
import { iemocapReader } from './iemocap-reader.js';
import { librispeechReader } from './librispeech-reader.js';
import { manifestReader } from './manifest-reader.js';
import { mspImprovReader } from './msp-improv-reader.js';
import { ravdessReader } from './ravdess-reader.js';

export const corpusReaders: readonly CorpusReader[] = [
  manifestReader,
  librispeechReader,
  iemocapReader,
  mspImprovReader,
  ravdessReader,
  cremaDReader,
  emodbReader,
];
export const readerNames = corpusReaders.map((reader) => reader.name) as [string, ...string[]];

export const readerNamed = (name: string): CorpusReader | undefined => corpusReaders.find((reader) => reader.name === name);

/**
 * The readers that know some of the paths inside a corpus: one, if it is clear. A manifest is there on purpose, so it is
 * preferred to what else the paths look like; where nothing is recognised all is a manifest without rows.
 */
export function recogniseReaders(paths: Iterable<string>): CorpusReader[] {
  const found = new Set<CorpusReader>();
  for (const path of paths) {
    for (const reader of corpusReaders) if (reader.recognises(path) || annotates(reader, path)) found.add(reader);
  }
  return found.has(manifestReader) || found.size === 0 ? [manifestReader] : [...found];
}

/** A corpus's options: which reader, how silence is cut. */
export const optionsPath = 'corpus.json';
/** Whether a path inside a corpus says something of its recordings, whichever reader it has. */
export const isAnnotationPath = (path: string): boolean => path === optionsPath || corpusReaders.some((reader) => annotates(reader, path));

/** Whether a path inside a corpus may hold annotations for this reader. */
export function annotates({ annotationPaths, annotationFolders }: CorpusReader, path: string): boolean {
  if (annotationPaths.includes(path)) return true;
  const folder = annotationFolders?.folders.find((each) => path.startsWith(each));
  return folder !== undefined && annotationFolders !== undefined && annotationFolders.files.test(path.slice(folder.length));
}
