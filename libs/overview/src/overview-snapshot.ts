/** The state of the pipeline as the page, `status` and `verify` show it. */
import type { CheckpointSaved } from '#contracts/checkpoints.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import type { EmotionTarget, Stream } from '#contracts/labels.js';
import type { ModelPromoted, ModelRejected } from '#contracts/promotions.js';
import type { DevChecked, RoundFinished, RoundStarted, StepTrained } from '#contracts/training.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import type { LetterGroup } from './letter-tally.js';

export interface StreamTotals {
  shards: number;
  /** Of live utterances, each counted once. */
  tiles: number;
  utterances: number;
  audioSec: number;
}

export interface Reconciliation {
  utterances: number;
  inShards: number;
  deadLettered: number;
  /** Ids of utterances that are neither in a shard nor dead-lettered: they are on their way, or lost. */
  inFlight: string[];
}

/** How far a corpus is under some feature settings. */
export interface CorpusCoverage {
  live: number;
  /** In a shard, or dead-lettered. */
  covered: number;
  /** All others. */
  missing: UtteranceIngested[];
  /** Length of the missing ones, as far as tiles of other settings tell it. */
  missingAudioSec: number;
}

/** A corpus whose tiles are made anew under other settings. */
export interface SettingsMove {
  corpus: string;
  settingsHash: string;
  covered: number;
  live: number;
}

/** Where a record stands in its topic. */
export interface RecordPlace {
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
  /** UA of the champion on dev speakers; null where it was not scored there. */
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
  /** Recordings that are not ingested, or not with their newest annotations. */
  recordings: number;
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
  /** Corpora on their way to other feature settings. */
  moves: SettingsMove[];
  /** Corpora whose annotations ingest cannot use, the longest refused first. */
  refusedCorpora: CorpusRefusal[];
  reconciliation: Omit<Reconciliation, 'inFlight'> & { inFlight: number };
  deadLetters: {
    total: number;
    /** Letters whose utterance has not come right since. */
    open: number;
    byCode: Record<string, number>;
    /** By stage, code and corpus; the largest groups first. */
    groups: LetterGroup[];
    latest: { key: string; stage: string; code: string; message: string; at: string }[];
  };
  training: TrainingState;
  checkpoint: CheckpointSaved | null;
  /** The newest of each task and split. */
  evaluations: ModelEvaluated[];
  /** Of each target about which anything was decided. */
  promotions: PromotionState[];
  /** UA and WA of every checkpoint, in order of time. */
  history: HistoryPoint[];
}
