/** What a corpus reader is: pure functions from a corpus's paths and annotation files to labels. */
import type { Labels, SilenceProfile, Split } from '#contracts/labels.js';

export interface Annotation {
  /** Speaker ids are the corpus's own; ingest puts the corpus's name before them. */
  labels: Labels;
  /** An explicit split wins over the hash. */
  split?: Split;
  /** Why a recording whose emotion the corpus names has no category: one of few phrases, since ingest counts by it. */
  noCategoryBecause?: string;
}

export interface CorpusAnnotations {
  /** @throws PipelineError MANIFEST_INVALID when the utterance's own annotation cannot be used */
  annotationOf(path: string): Annotation;
  /** What was not one of the four classes and the like, counted by reason. */
  remarks: Record<string, number>;
}

export interface CorpusReader {
  name: string;
  /** How silence is cut unless corpus.json says otherwise (paper, Section IV-B: LibriSpeech at both ends). */
  silence: SilenceProfile;
  /** Paths inside the corpus that may hold annotations, in order of preference. */
  annotationPaths: readonly string[];
  /** Folders, each with a slash at its end, of which all files whose path inside matches are annotations too. */
  annotationFolders?: { folders: readonly string[]; files: RegExp };
  /** Whether a path looks like one of this corpus's recordings or annotations. */
  recognises(path: string): boolean;
  /** @param files annotation files that exist: path to text */
  read(files: ReadonlyMap<string, string>): CorpusAnnotations;
}
