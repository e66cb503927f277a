/** The state of a trainer, as it answers `GET /status`. */
import type { ViewCounts } from '#index/training-index.js';

export interface TrainerStatus {
  runId: string;
  state: 'starting' | 'waiting' | 'training';
  /** The trainer's present work, or the thing that it waits for. */
  because: string;
  backend: string | null;
  /** Tiles that training may use. */
  tiles: ViewCounts;
  /** Digest and size of the current index: every live utterance whose current version is in a shard. */
  viewDigest: string;
  viewUtterances: number;
  /** Corpus to the hash of the feature settings of its tiles. */
  settings: Record<string, string>;
  /** Problems of the newest round, in words. */
  findings: string[];
}
