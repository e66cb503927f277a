/**
 * Holds the current record of each utterance: the latest of the compacted topic, or a sent record that has not come back yet.
 *
 * The topic alone decides. The later of two records is current, even if another instance wrote it after the own one (it may have
 * been stopped and woken up). So a sent record counts only until it is read back.
 */
import type { Split } from '#contracts/labels.js';
import { utteranceIdOf } from '#contracts/object-keys.js';
import type { UtteranceIngested } from '#contracts/utterances.js';

export class UtteranceLedger {
  private readonly followed = new Map<string, UtteranceIngested>();
  /** The record; null is a tombstone. */
  private readonly sent = new Map<string, UtteranceIngested | null>();
  private changed = new Set<string>();

  /** Applies a record of the topic. */
  apply(utteranceId: string, record: UtteranceIngested | null): void {
    const sent = this.sent.get(utteranceId);
    if (sent !== undefined && isSame(sent, record)) this.sent.delete(utteranceId);
    if (record) this.followed.set(utteranceId, record);
    else this.followed.delete(utteranceId);
    this.changed.add(utteranceId);
  }

  /** Counts the record as current while it is sent and until it is read back. If sending fails, it no longer counts. */
  async send(utteranceId: string, record: UtteranceIngested | null, publish: () => Promise<void>): Promise<void> {
    // Noted before publishing: the record, and later ones, may be read before the acknowledgement arrives.
    this.sent.set(utteranceId, record);
    try {
      await publish();
    } catch (error) {
      if (this.sent.get(utteranceId) === record) this.sent.delete(utteranceId);
      throw error;
    }
  }

  get(utteranceId: string): UtteranceIngested | undefined {
    const sent = this.sent.get(utteranceId);
    return sent === undefined ? this.followed.get(utteranceId) : (sent ?? undefined);
  }

  /** @returns utterances with records in the topic since the last call */
  takeChanged(): ReadonlySet<string> {
    const { changed } = this;
    this.changed = new Set();
    return changed;
  }

  get size(): number {
    return this.followed.size;
  }

  /** Paths of a corpus's utterances inside the corpus. */
  *pathsOf(corpus: string): Iterable<string> {
    const start = utteranceIdOf(corpus, '');
    for (const { utteranceId } of this.all()) if (utteranceId.startsWith(start)) yield utteranceId.slice(start.length);
  }

  /**
   * Splits of a corpus's speakers, by the corpus's own ids. A speaker with records in several splits counts as train, because
   * a model may have heard the voice.
   */
  splitsOf(corpus: string): Map<string, Split> {
    const splits = new Map<string, Split>();
    for (const { corpus: own, labels, split } of this.all()) {
      if (own !== corpus || labels.speakerId === undefined) continue;
      const speaker = labels.speakerId.slice(corpus.length + 1);
      if (split === 'train' || !splits.has(speaker)) splits.set(speaker, split);
    }
    return splits;
  }

  *all(): Iterable<UtteranceIngested> {
    for (const utteranceId of new Set([...this.followed.keys(), ...this.sent.keys()])) {
      const record = this.get(utteranceId);
      if (record) yield record;
    }
  }
}

const isSame = (sent: UtteranceIngested | null, read: UtteranceIngested | null): boolean =>
  sent?.version === read?.version && sent?.ingestedAt === read?.ingestedAt;
