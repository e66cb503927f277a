/**
 * The trace contexts of utterances that no round has had yet: from when their shard is announced until the round that is
 * the first to have them is over. Bounded, whatever is sampled: beyond the bound the oldest are forgotten, and their
 * traces end at the shard.
 */

/** 25 MB or so. */
const mostWaiting = 100_000;

interface Waiting {
  version: string;
  /** As the W3C has it. */
  traceparent: string;
}

export type WaitingTrace = [utteranceId: string, version: string, traceparent: string];

export class WaitingTraces {
  private readonly byUtterance = new Map<string, Waiting>();

  constructor(private readonly limit = mostWaiting) {}

  /** @param traceparents one for each of the utterances, as a shard's headers have them, or none at all */
  note(utterances: readonly { utteranceId: string; version: string }[], traceparents: readonly (string | undefined)[]): void {
    traceparents.forEach((traceparent, at) => {
      const utterance = utterances[at];
      if (traceparent && utterance) this.add(utterance.utteranceId, { version: utterance.version, traceparent });
    });
  }

  forget(utteranceId: string): void {
    this.byUtterance.delete(utteranceId);
  }

  /** Those of the versions that a round has, by utterance. */
  of(round: { has(utteranceId: string, version: string): boolean }): Map<string, string> {
    return new Map(
      [...this.byUtterance].flatMap(([id, { version, traceparent }]) => (round.has(id, version) ? [[id, traceparent] as const] : [])),
    );
  }

  get size(): number {
    return this.byUtterance.size;
  }

  /** All, to be kept and given back to {@link restore}. */
  get contents(): WaitingTrace[] {
    return [...this.byUtterance].map(([id, { version, traceparent }]) => [id, version, traceparent]);
  }

  restore(contents: readonly WaitingTrace[]): void {
    for (const [id, version, traceparent] of contents) this.add(id, { version, traceparent });
  }

  private add(utteranceId: string, waiting: Waiting): void {
    this.byUtterance.delete(utteranceId);
    this.byUtterance.set(utteranceId, waiting);
    if (this.byUtterance.size <= this.limit) return;
    const [oldest] = this.byUtterance.keys();
    if (oldest !== undefined) this.byUtterance.delete(oldest);
  }
}
