/** The state of the pipeline as the page, `status` and `verify` show it. */
import type { CheckpointSaved } from '#contracts/checkpoints.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import type { EmotionTarget, Stream } from '#contracts/labels.js';
import type { ModelPromoted, ModelRejected } from '#contracts/promotions.js';
import type { DevChecked, RoundFinished, RoundStarted, StepTrained } from '#contracts/training.js';
import type { LeftOut } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import type { SpeakerCounts } from './labelled-speakers.js';
import type { LetterGroup } from './letter-tally.js';

export interface StreamTotals {
  shards: number;
  /** Counts of live utterances, each counted once. */
  tiles: number;
  utterances: number;
  audioSec: number;
}

export interface Reconciliation {
  utterances: number;
  inShards: number;
  deadLettered: number;
  /** Ids of utterances that are neither in a shard nor dead-lettered. They are in flight or lost. */
  inFlight: string[];
}

/** The progress of a corpus under given feature settings. */
export interface CorpusCoverage {
  live: number;
  /** In a shard, or dead-lettered. */
  covered: number;
  /** All others. */
  missing: UtteranceIngested[];
  /** Audio length of the missing utterances, if tiles of other settings give it. */
  missingAudioSec: number;
}

/** A corpus that is being reprocessed under other feature settings. */
export interface SettingsMove {
  corpus: string;
  settingsHash: string;
  covered: number;
  live: number;
}

/** The position of a record in its topic. */
export interface TopicPosition {
  partition: number;
  offset: string;
}

export interface HistoryPoint {
  runId: string;
  step: number;
  task: string;
  split: string;
  ua: number;
  wa: number;
  at: string;
}

/** The decisions about the models of a target. */
export interface PromotionState {
  target: EmotionTarget;
  champion: ModelPromoted | null;
  /** UA of the champion on dev speakers; null if it was not scored on them. */
  championUa: number | null;
  /** The latest challenger that was not promoted. */
  rejected: ModelRejected | null;
}

/** A corpus whose annotations ingest cannot use. */
export interface CorpusRefusal {
  corpus: string;
  code: string;
  message: string;
  /** The object that the newest letter is about. */
  key: string;
  since: string;
  latestAt: string;
  /** Number of recordings that are not ingested, or not with their newest annotations. */
  recordings: number;
}

/** Wrong rows of a corpus whose other annotations are used. */
export interface RowRefusals {
  corpus: string;
  /** Number of recordings whose row is refused. */
  rows: number;
  /** The faults of the first three. */
  first: string[];
}

export interface TrainingState {
  started: RoundStarted | null;
  checked: DevChecked | null;
  finished: RoundFinished | null;
  steps: StepTrained[];
}

export interface OverviewSnapshot {
  at: string;
  utterances: { live: number; byCorpus: Record<string, number>; bySplit: Record<string, number> };
  streams: Record<Stream, StreamTotals>;
  silenceCutSec: number;
  /** Tiles of live utterances that features did not make, by reason. */
  tilesLeftOut: Required<LeftOut>;
  /** Speakers with labelled utterances, by corpus and split. */
  labelledSpeakers: Record<string, SpeakerCounts>;
  /** A sentence; null if a model can be promoted, or if nothing is labelled yet. */
  whyNothingCanBePromoted: string | null;
  /** Corpora that are being reprocessed under other feature settings. */
  moves: SettingsMove[];
  /** Corpora whose annotations ingest cannot use, oldest refusal first. */
  refusedCorpora: CorpusRefusal[];
  refusedRows: RowRefusals[];
  reconciliation: Omit<Reconciliation, 'inFlight'> & { inFlight: number };
  deadLetters: {
    total: number;
    /** Number of open letters: those whose utterance has not reached a shard since. */
    open: number;
    byCode: Record<string, number>;
    /** Groups by stage, code and corpus, largest first. */
    groups: LetterGroup[];
    latest: { key: string; stage: string; code: string; message: string; at: string }[];
  };
  training: TrainingState;
  checkpoint: CheckpointSaved | null;
  /** The newest evaluation of each task and split. */
  evaluations: ModelEvaluated[];
  /** The decisions of each target that has any. */
  promotions: PromotionState[];
  /** UA and WA of every checkpoint, sorted by time. */
  history: HistoryPoint[];
}
