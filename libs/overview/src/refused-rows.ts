/**
 * Tracks rows of annotations that ingest refuses while it uses the rest of their corpus. A row counts from the dead letter about it
 * until a later record of its recording is ingested.
 */
import { corpusOf } from '#contracts/object-keys.js';
import { cut } from './letter-tally.js';
import type { RowRefusals } from './overview-snapshot.js';
import type { TrackedUtterance } from './tracked-utterance.js';

/** Messages kept for each corpus. As rows are mended, the next ones move up. */
const mostMessages = 20;
const shownMessages = 3;

export class RefusedRows {
  private readonly byCorpus = new Map<string, { rows: number; messages: Map<string, string> }>();

  /** Adds an utterance to its corpus, or subtracts it before it changes. */
  count({ fact, utteranceId, refusedRow }: TrackedUtterance, sign: 1 | -1): void {
    if (!refusedRow || (fact && fact.ingestedAt >= refusedRow.at)) return;
    const corpus = cut(corpusOf(utteranceId));
    const refused = this.byCorpus.get(corpus) ?? { rows: 0, messages: new Map<string, string>() };
    refused.rows += sign;
    if (sign < 0) refused.messages.delete(utteranceId);
    else if (refused.messages.size < mostMessages) refused.messages.set(utteranceId, refusedRow.message);
    if (refused.rows > 0) this.byCorpus.set(corpus, refused);
    else this.byCorpus.delete(corpus);
  }

  /** The corpora with the most refused rows first. */
  open(): RowRefusals[] {
    return [...this.byCorpus]
      .map(([corpus, { rows, messages }]) => ({ corpus, rows, first: [...messages.values()].sort().slice(0, shownMessages) }))
      .sort((a, b) => b.rows - a.rows || (a.corpus < b.corpus ? -1 : 1));
  }
}
