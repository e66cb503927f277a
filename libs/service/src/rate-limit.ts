/** A token bucket: a steady rate per second, and a larger burst after a pause. */
export interface RateLimitOptions {
  perSecond: number;
  burst: number;
  /** Milliseconds of a monotonic clock. */
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

  /** Takes `cost` tokens and returns 0, or takes none and returns the seconds until they are available. */
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
