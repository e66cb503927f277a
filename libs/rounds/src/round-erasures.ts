/**
 * Utterances that were erased or replaced while one round has them. Whoever asks for a round makes one and adds to it, from
 * before the round begins. An erasure that comes late, when its round is over, belongs to no other round.
 */
export class RoundErasures {
  private readonly utteranceIds = new Set<string>();
  private follower: ((utteranceIds: ReadonlySet<string>) => void) | null = null;

  add(utteranceIds: readonly string[]): void {
    for (const utteranceId of utteranceIds) this.utteranceIds.add(utteranceId);
    this.follower?.(new Set(utteranceIds));
  }

  /** Tells of what was added so far, and from now on of each addition. @returns ends the telling */
  follow(follower: (utteranceIds: ReadonlySet<string>) => void): () => void {
    this.follower = follower;
    if (this.utteranceIds.size > 0) follower(this.utteranceIds);
    return () => {
      this.follower = null;
    };
  }
}
