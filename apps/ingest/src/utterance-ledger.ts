/**
 * The current record of each utterance, as the compacted topic has it, and what was sent to it and has not come back yet.
 *
 * The topic alone decides: of two records the later one in it is current, also where another instance, perhaps one that was
 * stopped and woke up, wrote it after ours. So what was sent counts only until it is read.
 */
import { utteranceIdOf } from '#contracts/object-keys.js';
import type { UtteranceIngested } from '#contracts/utterances.js';

export class UtteranceLedger {
  private readonly followed = new Map<string, UtteranceIngested>();
  /** Null: a tombstone. */
  private readonly sent = new Map<string, UtteranceIngested | null>();
  private changed = new Set<string>();

  /** A record of the topic. */
  apply(utteranceId: string, record: UtteranceIngested | null): void {
    const sent = this.sent.get(utteranceId);
    if (sent !== undefined && isSame(sent, record)) this.sent.delete(utteranceId);
    if (record) this.followed.set(utteranceId, record);
    else this.followed.delete(utteranceId);
    this.changed.add(utteranceId);
  }

  /** Counts the record as current while it is sent and until it is read; no longer if it could not be sent. */
  async send(utteranceId: string, record: UtteranceIngested | null, publish: () => Promise<void>): Promise<void> {
    // Before it is published: it may be read before its acknowledgement arrives, and others after it.
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

  /** Utterances that the topic had records of since this was last asked. */
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

  *all(): Iterable<UtteranceIngested> {
    for (const utteranceId of new Set([...this.followed.keys(), ...this.sent.keys()])) {
      const record = this.get(utteranceId);
      if (record) yield record;
    }
  }
}

const isSame = (sent: UtteranceIngested | null, read: UtteranceIngested | null): boolean =>
  sent?.version === read?.version && sent?.ingestedAt === read?.ingestedAt;
