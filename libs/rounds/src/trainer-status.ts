/** What a trainer says that it is doing, at `GET /status`. */
import type { ViewCounts } from '#index/training-index.js';

export interface TrainerStatus {
  runId: string;
  state: 'starting' | 'waiting' | 'training';
  /** What is waited for, or what is being done. */
  because: string;
  backend: string | null;
  /** That may be learnt from. */
  tiles: ViewCounts;
  /** Of the index as it is now: every live utterance that a shard holds, in its current version. */
  viewDigest: string;
  viewUtterances: number;
  /** Corpus to the hash of the feature settings that its tiles are read under. */
  settings: Record<string, string>;
  /** What is wrong with the newest round, in words. */
  findings: string[];
}
