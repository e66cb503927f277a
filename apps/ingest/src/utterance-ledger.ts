/** What ingest has said so far: the current record of each utterance, from the compacted topic and its own sends. */
import type { UtteranceIngested } from '#contracts/utterances.js';

export class UtteranceLedger {
  private readonly byId = new Map<string, UtteranceIngested>();

  apply(utteranceId: string, record: UtteranceIngested | null): void {
    if (record) this.byId.set(utteranceId, record);
    else this.byId.delete(utteranceId);
  }

  get(utteranceId: string): UtteranceIngested | undefined {
    return this.byId.get(utteranceId);
  }

  get size(): number {
    return this.byId.size;
  }

  all(): Iterable<UtteranceIngested> {
    return this.byId.values();
  }
}
