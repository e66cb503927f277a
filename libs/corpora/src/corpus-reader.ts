/** The interface of corpus readers. A reader is a pure function from a corpus's paths and annotation files to labels. */
import type { Labels, LevelEdges, SilenceProfile, Split } from '#contracts/labels.js';
import type { OwnWords } from './emotion-labels.js';
import type { RosterSpeaker } from './place-speakers.js';
import type { RowsMatched } from './row-matcher.js';

export interface Annotation {
  /** The corpus's own speaker ids; ingest puts the corpus's name before them. */
  labels: Labels;
  /** Split that the annotation names. It wins over the split by hash. */
  split?: Split;
  /** Reason why a recording with a named emotion has no category. Use one of few phrases, because ingest counts by it. */
  noCategoryBecause?: string;
}

export interface CorpusAnnotations {
  /**
   * @param path of a recording that exists
   * @throws PipelineError MANIFEST_INVALID when the utterance's own annotation cannot be used
   */
  annotationOf(path: string): Annotation;
  /** Counts, by reason, the values that are not labels. */
  remarks: Record<string, number>;
  /** Present only if the annotations have a row for each recording. */
  rows?: AnnotationRows;
  /**
   * The labelled speakers of the corpus, as far as the annotations or the corpus's documentation name them; each has the split
   * that the annotations name. Absent if only the recordings name the speakers: a hash then gives their splits.
   */
  speakers?: readonly NamedSpeaker[];
}

export interface NamedSpeaker extends RosterSpeaker {
  split?: Split | undefined;
}

export interface AnnotationRows {
  /** Replaces the known recordings. Each call of annotationOf adds one more. */
  know(recordings: Iterable<string>): void;
  /** @returns recordings that lost their row to another one since the last call */
  takeDisplaced(): string[];
  /** Counts for the recordings known so far. */
  matched(): RowsMatched;
  /** @returns file, row and path of a row, for messages */
  describe(row: number): string;
}

export interface ReadOptions {
  /** The corpus's own words for emotions, from its corpus.json. */
  ownWords?: OwnWords;
  /** The corpus's own classes; undefined for the paper's four. */
  classes?: readonly string[];
}

export interface CorpusReader {
  name: string;
  /** Default silence profile, unless corpus.json sets another (paper, Section IV-B: LibriSpeech at both ends). */
  silence: SilenceProfile;
  /** Edges of the three levels of activation and valence (paper, Table I). If absent, the name of the corpus decides. */
  levels?: LevelEdges;
  /** Paths inside the corpus that may hold annotations, in order of preference. */
  annotationPaths: readonly string[];
  /** Folders, each ending in a slash. Every file whose path inside a folder matches is an annotation file too. */
  annotationFolders?: { folders: readonly string[]; files: RegExp };
  /** True if a path looks like a recording or an annotation file of this corpus. */
  recognises(path: string): boolean;
  /** @returns the reason why a recording is no utterance of the corpus; undefined if it is one */
  leavesOut?(path: string): string | undefined;
  /** Names the take that a path holds, for corpora that publish a take in several formats or folders. One file of each is taken. */
  takeOf?(path: string): string | undefined;
  /** @param files the annotation files that exist: path to text */
  read(files: ReadonlyMap<string, string>, options?: ReadOptions): CorpusAnnotations;
}
