/** All readers, and how one is recognised. A corpus that no reader recognises is read as a manifest without rows. */
import { librispeechReader } from './librispeech-reader.js';
import { manifestReader } from './manifest-reader.js';
import type { CorpusReader } from './corpus-reader.js';

export const corpusReaders: readonly CorpusReader[] = [manifestReader, librispeechReader];
export const readerNames = corpusReaders.map((reader) => reader.name) as [string, ...string[]];

export const readerNamed = (name: string): CorpusReader | undefined => corpusReaders.find((reader) => reader.name === name);

/** @param paths some paths inside the corpus, its root first */
export function recogniseReader(paths: Iterable<string>): CorpusReader {
  for (const path of paths) {
    const reader = corpusReaders.find((candidate) => candidate.recognises(path) || candidate.annotationPaths.includes(path));
    if (reader) return reader;
  }
  return manifestReader;
}

/** A corpus's options: which reader, how silence is cut. */
export const optionsPath = 'corpus.json';
/** Where any reader looks for annotations. */
export const annotationPaths: readonly string[] = corpusReaders.flatMap((reader) => reader.annotationPaths);
/** Whether a path inside a corpus says something of its recordings. */
export const isAnnotationPath = (path: string): boolean => path === optionsPath || annotationPaths.includes(path);
