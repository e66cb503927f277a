/** Lists all corpus readers and recognises a corpus's reader. An unrecognised corpus is read as a manifest without rows. */
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
 * Finds the readers that recognise some of the paths inside a corpus; if the case is clear, there is one. A manifest wins
 * over other readers, because someone put it there on purpose. An unrecognised corpus is read as a manifest without rows.
 */
export function recogniseReaders(paths: Iterable<string>): CorpusReader[] {
  const found = new Set<CorpusReader>();
  for (const path of paths) {
    for (const reader of corpusReaders) if (reader.recognises(path) || annotates(reader, path)) found.add(reader);
  }
  return found.has(manifestReader) || found.size === 0 ? [manifestReader] : [...found];
}

/** The options of a corpus: its reader and its silence profile. */
export const optionsPath = 'corpus.json';
/** True if any reader takes a path inside a corpus for annotations, or if it is the options file. */
export const isAnnotationPath = (path: string): boolean => path === optionsPath || corpusReaders.some((reader) => annotates(reader, path));

/** True if a path inside a corpus may hold annotations for this reader. */
export function annotates({ annotationPaths, annotationFolders }: CorpusReader, path: string): boolean {
  if (annotationPaths.includes(path)) return true;
  const folder = annotationFolders?.folders.find((each) => path.startsWith(each));
  return folder !== undefined && annotationFolders !== undefined && annotationFolders.files.test(path.slice(folder.length));
}
