/**
 * Lists the bucket and hints at every object that ingest's ledger does not already describe, and at every utterance
 * whose object is no longer there: this heals events that never came. A corpus whose annotations changed while nobody
 * watched is looked at whole.
 */
import { corporaPrefix, corpusKey, parseCorpusKey, utteranceIdOf } from '#contracts/object-keys.js';
import { objectHints, type hintReasons, type ObjectHint } from '#contracts/object-hints.js';
import { isAudioPath } from '#corpora/audio-paths.js';
import type { ObjectStore } from '#storage/object-store.js';
import type { Publisher } from '#streaming/publisher.js';
import { isAnnotationPath } from './corpus-catalogue.js';
import type { UtteranceLedger } from './utterance-ledger.js';

export function hintAt(key: string, reason: (typeof hintReasons)[number], again = false): ObjectHint {
  return { key, reason, again, hintedAt: new Date().toISOString() };
}

export class BucketReconciler {
  /** What this process has hinted at already, so that an object that cannot be ingested is not hinted at for ever. */
  private readonly hinted = new Map<string, string>();

  constructor(
    private readonly store: ObjectStore,
    private readonly publisher: Publisher,
    private readonly ledger: UtteranceLedger,
  ) {}

  /** @returns how many objects were seen and hinted at */
  async reconcile(): Promise<{ seen: number; hinted: number }> {
    const hints: ObjectHint[] = [];
    const present = new Set<string>();
    let seen = 0;
    for await (const { key, etag } of this.store.list(corporaPrefix)) {
      seen++;
      const path = parseCorpusKey(key)?.path;
      if (!path) continue;
      present.add(key);
      if (isAnnotationPath(path) ? this.isNews(key, etag) : isAudioPath(path) && this.isUnknown(key, etag))
        hints.push(hintAt(key, 'listing'));
    }
    for (const key of this.hinted.keys()) if (!present.has(key)) this.hinted.delete(key);
    for (const { objectKey } of this.ledger.all()) if (!present.has(objectKey)) hints.push(hintAt(objectKey, 'listing'));
    await this.publisher.publish(objectHints, ...hints);
    return { seen, hinted: hints.length };
  }

  /** Hints at every recording of a corpus: its annotations changed. */
  async sweepCorpus(corpus: string): Promise<void> {
    const hints: ObjectHint[] = [];
    for await (const { key } of this.store.list(corpusKey(corpus, ''))) if (isAudioPath(key)) hints.push(hintAt(key, 'annotations'));
    await this.publisher.publish(objectHints, ...hints);
  }

  private isUnknown(key: string, etag: string): boolean {
    const place = parseCorpusKey(key);
    const current = place && this.ledger.get(utteranceIdOf(place.corpus, place.path));
    return current?.etag !== etag && this.isNews(key, etag, current?.etag);
  }

  /** @param known what the ledger says of it: once that has changed, the object is looked at again */
  private isNews(key: string, etag: string, known = ''): boolean {
    const state = `${etag} ${known}`;
    const isNews = this.hinted.get(key) !== state;
    this.hinted.set(key, state);
    return isNews;
  }
}
