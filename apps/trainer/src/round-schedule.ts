/**
 * Decides when a round starts: when enough utterances are new and no more have come for a while (or they keep coming for long),
 * or by the clock. At any time it gives the reason why it waits.
 */
export interface RoundScheduleOptions {
  /** A round starts after this long without news. */
  quietMs: number;
  /** A round starts after this long of continuous news. */
  maxWaitMs: number;
  /** A round starts at this many changed utterances. */
  minNew: number;
  /** After this long a round starts with fewer or no changed utterances; null: never. */
  everyMs: number | null;
}

export interface IndexState {
  revision: number;
  /** Digest of the present view. */
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
  /** Utterances that came, went or changed since the last round; after a start, all utterances if any of them is new. */
  news = 0;

  constructor(private readonly options: RoundScheduleOptions) {}

  /**
   * Notes the view of the last round.
   * @param refused the reason why no round can succeed on this view; the schedule then waits for another view, whatever the clock says
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
      return wait(`${this.news} of ${minNew} changed utterances that a round needs${this.untilClock(nowMs)}`);
    const waitedMs = nowMs - (this.firstNewsMs ?? nowMs);
    if (nowMs - this.lastNewsMs >= quietMs || waitedMs >= maxWaitMs) return { start: true };
    return wait(`utterances are still coming in; a round starts after ${quietMs / 1000} s of quiet`);
  }

  private isDueByClock(nowMs: number): boolean {
    const { everyMs } = this.options;
    return everyMs !== null && this.lastRoundMs !== null && nowMs - this.lastRoundMs >= everyMs;
  }

  private untilClock(nowMs: number): string {
    const { everyMs } = this.options;
    if (everyMs === null || this.lastRoundMs === null) return '';
    return `; the next one starts in ${Math.ceil((this.lastRoundMs + everyMs - nowMs) / 1000)} s in any case`;
  }
}

const wait = (because: string): ScheduleDecision => ({ start: false, because });
