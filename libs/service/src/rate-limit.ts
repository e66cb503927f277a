/** A token bucket: so many a second for ever, and a burst of more after a pause. */
export interface RateLimitOptions {
  perSecond: number;
  burst: number;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

export class RateLimit {
  private readonly now: () => number;
  private tokens: number;
  private filledAtMs: number;

  constructor(private readonly options: RateLimitOptions) {
    this.now = options.now ?? (() => performance.now());
    this.tokens = options.burst;
    this.filledAtMs = this.now();
  }

  /** @returns 0 and takes `cost` tokens, or takes none and returns the seconds after which they will be there */
  take(cost = 1): number {
    const { perSecond, burst } = this.options;
    const nowMs = this.now();
    this.tokens = Math.min(burst, this.tokens + ((nowMs - this.filledAtMs) / 1000) * perSecond);
    this.filledAtMs = nowMs;
    const missing = Math.min(cost, burst) - this.tokens;
    if (missing > 0) return missing / perSecond;
    this.tokens -= cost;
    return 0;
  }
}
