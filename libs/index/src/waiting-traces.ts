/**
 * Keeps the trace contexts of utterances that wait for their first round: from the announcement of their shard until the
 * end of the first round that has them. The number is bounded. Beyond the bound the oldest are dropped, and their traces
 * end at the shard.
 */

/** About 25 MB. */
const mostWaiting = 100_000;

interface Waiting {
  version: string;
  /** In the format of W3C Trace Context. */
  traceparent: string;
}

export type WaitingTrace = [utteranceId: string, version: string, traceparent: string];

export class WaitingTraces {
  private readonly byUtterance = new Map<string, Waiting>();

  constructor(private readonly limit = mostWaiting) {}

  /** @param traceparents one for each utterance, from the headers of the shard's record, or none at all */
  note(utterances: readonly { utteranceId: string; version: string }[], traceparents: readonly (string | undefined)[]): void {
    traceparents.forEach((traceparent, at) => {
      const utterance = utterances[at];
      if (traceparent && utterance) this.add(utterance.utteranceId, { version: utterance.version, traceparent });
    });
  }

  drop(utteranceId: string): void {
    this.byUtterance.delete(utteranceId);
  }

  /** @returns utterance to traceparent, for the versions that a round has */
  of(round: { has(utteranceId: string, version: string): boolean }): Map<string, string> {
    return new Map(
      [...this.byUtterance].flatMap(([id, { version, traceparent }]) => (round.has(id, version) ? [[id, traceparent] as const] : [])),
    );
  }

  get size(): number {
    return this.byUtterance.size;
  }

  /** All traces, to be stored and given to {@link restore} later. */
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
