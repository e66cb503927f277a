/** The interface of corpus readers: pure functions from a corpus's paths and annotation files to labels. */
import type { Labels, LevelEdges, SilenceProfile, Split } from '#contracts/labels.js';
import type { OwnWords } from './emotion-labels.js';
import type { RowsMatched } from './row-matcher.js';

export interface Annotation {
  /** Speaker ids are the corpus's own; ingest puts the corpus's name before them. */
  labels: Labels;
  /** An explicit split wins over the hash. */
  split?: Split;
  /** Why a recording whose emotion the corpus names has no category: one of few phrases, since ingest counts by it. */
  noCategoryBecause?: string;
}

export interface CorpusAnnotations {
  /**
   * @param path of a recording that exists
   * @throws PipelineError MANIFEST_INVALID when the utterance's own annotation cannot be used
   */
  annotationOf(path: string): Annotation;
  /** Values that are no label, counted by reason. */
  remarks: Record<string, number>;
  /** Only where the annotations name each recording in a row of its own. */
  rows?: AnnotationRows;
}

export interface AnnotationRows {
  /** Replaces the recordings that are known to exist. Each question for an annotation makes one more known. */
  know(recordings: Iterable<string>): void;
  /** Recordings that lost their row to another one since this was last asked. */
  takeDisplaced(): string[];
  /** Counts as of the recordings that are known. */
  matched(): RowsMatched;
  /** File, row and the path that stands there, for messages. */
  describe(row: number): string;
}

export interface ReadOptions {
  /** The corpus's own words for emotions, from its corpus.json. */
  ownWords?: OwnWords;
}

export interface CorpusReader {
  name: string;
  /** How silence is cut unless corpus.json says otherwise (paper, Section IV-B: LibriSpeech at both ends). */
  silence: SilenceProfile;
  /** Where it cuts three levels of activation and valence (paper, Table I); without it the name of the corpus decides. */
  levels?: LevelEdges;
  /** Paths inside the corpus that may hold annotations, in order of preference. */
  annotationPaths: readonly string[];
  /** Folders, each with a slash at its end, of which all files whose path inside matches are annotations too. */
  annotationFolders?: { folders: readonly string[]; files: RegExp };
  /** Whether a path looks like one of this corpus's recordings or annotations. */
  recognises(path: string): boolean;
  /** @param files annotation files that exist: path to text */
  read(files: ReadonlyMap<string, string>, options?: ReadOptions): CorpusAnnotations;
}
