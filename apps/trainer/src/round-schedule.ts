/**
 * When a round starts: when enough is new and it has been quiet for a while or has gone on for long; or by the clock. It
 * says at any time what it is waiting for, so that nobody has to guess.
 */
export interface RoundScheduleOptions {
  /** Without news for this long, what came is all that comes for now. */
  quietMs: number;
  /** News that never ends must not keep a round from starting. */
  maxWaitMs: number;
  /** Changed utterances that it takes. */
  minNew: number;
  /** After this long a round starts with fewer, or on what it has learnt before; null: never. */
  everyMs: number | null;
}

export interface IndexState {
  revision: number;
  /** Digest of the view as it is now. */
  digest: string;
  trainable: number;
  /** Rises with every utterance that comes into the view, leaves it, or changes. */
  changes: number;
}

export type ScheduleDecision = { start: true } | { start: false; because: string };

export class RoundSchedule {
  private seenRevision = -1;
  private lastNewsMs = 0;
  private firstNewsMs: number | null = null;
  private trainedDigest: string | null = null;
  private refusedBecause: string | null = null;
  private changesBefore = 0;
  private changes = 0;
  private lastRoundMs: number | null = null;
  /** Utterances that came, went or changed and are in no round yet; after a start all that there are, if any is. */
  news = 0;

  constructor(private readonly options: RoundScheduleOptions) {}

  /**
   * What the last round was trained on, or tried on.
   * @param refused why nothing can come of this view: then another is waited for, whatever the clock says
   */
  trained(digest: string, { nowMs, refused = null }: { nowMs: number; refused?: string | null }): void {
    this.trainedDigest = digest;
    this.refusedBecause = refused;
    this.firstNewsMs = null;
    this.changesBefore = this.changes;
    this.lastRoundMs = nowMs;
  }

  decide(index: IndexState, nowMs: number): ScheduleDecision {
    this.changes = index.changes;
    if (index.revision !== this.seenRevision) {
      this.seenRevision = index.revision;
      this.lastNewsMs = nowMs;
      this.firstNewsMs ??= nowMs;
    }
    this.news = index.digest === this.trainedDigest ? 0 : Math.max(0, index.changes - this.changesBefore);
    if (index.trainable === 0) return wait('no tiles of training speakers yet');
    const isSame = index.digest === this.trainedDigest;
    if (isSame && this.refusedBecause !== null) return wait(this.refusedBecause);
    if (this.isDueByClock(nowMs)) return { start: true };
    if (isSame) return wait(`nothing new since the last round${this.untilClock(nowMs)}`);
    const { minNew, quietMs, maxWaitMs } = this.options;
    if (this.lastRoundMs !== null && this.news < minNew)
      return wait(`${this.news} of ${minNew} changed utterances that a round takes${this.untilClock(nowMs)}`);
    const waitedMs = nowMs - (this.firstNewsMs ?? nowMs);
    if (nowMs - this.lastNewsMs >= quietMs || waitedMs >= maxWaitMs) return { start: true };
    return wait(`news is still coming in; a round starts after ${quietMs / 1000} s of quiet`);
  }

  private isDueByClock(nowMs: number): boolean {
    const { everyMs } = this.options;
    return everyMs !== null && this.lastRoundMs !== null && nowMs - this.lastRoundMs >= everyMs;
  }

  private untilClock(nowMs: number): string {
    const { everyMs } = this.options;
    if (everyMs === null || this.lastRoundMs === null) return '';
    return `; the next one starts in ${Math.ceil((this.lastRoundMs + everyMs - nowMs) / 1000)} s whatever comes`;
  }
}

const wait = (because: string): ScheduleDecision => ({ start: false, because });
