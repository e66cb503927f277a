/**
 * The utterances that are erased or replaced during one round. The caller of a round makes this before the round begins
 * and adds to it. An erasure that arrives after the end of its round never affects another round.
 */
export class RoundErasures {
  private readonly utteranceIds = new Set<string>();
  private follower: ((utteranceIds: ReadonlySet<string>) => void) | null = null;

  add(utteranceIds: readonly string[]): void {
    for (const utteranceId of utteranceIds) this.utteranceIds.add(utteranceId);
    this.follower?.(new Set(utteranceIds));
  }

  /** Reports the erasures so far, and each later one. @returns a function that ends the reports */
  follow(follower: (utteranceIds: ReadonlySet<string>) => void): () => void {
    this.follower = follower;
    if (this.utteranceIds.size > 0) follower(this.utteranceIds);
    return () => {
      this.follower = null;
    };
  }
}
