/**
 * When a round starts: when there is news, and it has been quiet for a while, or it has gone on for long. It says at any
 * time what it is waiting for, so that nobody has to guess.
 */
export interface RoundScheduleOptions {
  /** Without news for this long, what came is all that comes for now. */
  quietMs: number;
  /** News that never ends must not keep a round from starting. */
  maxWaitMs: number;
}

export interface IndexState {
  revision: number;
  /** Digest of the view as it is now. */
  digest: string;
  trainable: number;
}

export type ScheduleDecision = { start: true } | { start: false; because: string };

export class RoundSchedule {
  private seenRevision = -1;
  private lastNewsMs = 0;
  private firstNewsMs: number | null = null;
  private trainedDigest: string | null = null;
  private afterwards = '';

  constructor(private readonly options: RoundScheduleOptions) {}

  /** What the last round was trained on, or tried on. @param because why nothing happens until there is another view */
  trained(digest: string, because = 'nothing new since the last round'): void {
    this.trainedDigest = digest;
    this.afterwards = because;
    this.firstNewsMs = null;
  }

  decide(index: IndexState, nowMs: number): ScheduleDecision {
    if (index.revision !== this.seenRevision) {
      this.seenRevision = index.revision;
      this.lastNewsMs = nowMs;
      this.firstNewsMs ??= nowMs;
    }
    if (index.trainable === 0) return { start: false, because: 'no tiles of training speakers yet' };
    if (index.digest === this.trainedDigest) return { start: false, because: this.afterwards };
    const quietForMs = nowMs - this.lastNewsMs;
    const waitedMs = nowMs - (this.firstNewsMs ?? nowMs);
    if (quietForMs >= this.options.quietMs || waitedMs >= this.options.maxWaitMs) return { start: true };
    return { start: false, because: `news is still coming in; a round starts after ${this.options.quietMs / 1000} s of quiet` };
  }
}
