/**
 * Lists the bucket and hints at every object that ingest's ledger does not already describe, and at every utterance
 * whose object is no longer there: this heals events that never came.
 *
 * Delivery: what was hinted at is remembered only once its hint is durable, so a listing that fails half-way is begun
 * anew without a gap. Hints go out a page at a time: memory does not grow with the bucket.
 */
import { corporaPrefix, corpusKey, parseCorpusKey, utteranceIdOf } from '#contracts/object-keys.js';
import { hintAt, objectHints, type ObjectHint } from '#contracts/object-hints.js';
import { isArchivePath, isAudioPath } from '#corpora/audio-paths.js';
import { isAnnotationPath } from '#corpora/corpus-readers.js';
import type { ObjectHead, ObjectStore } from '#storage/object-store.js';
import type { Publisher } from '#streaming/publisher.js';
import type { UtteranceLedger } from './utterance-ledger.js';

/** Facts in one call of the publisher. */
export const hintsAtOnce = 1_000;

export class BucketReconciler {
  /** By key, the state of object and ledger that was hinted at: one that cannot be ingested is not hinted at for ever. */
  private readonly hinted = new Map<string, string>();

  constructor(
    private readonly store: ObjectStore,
    private readonly publisher: Publisher,
    private readonly ledger: UtteranceLedger,
  ) {}

  /** @returns how many objects were seen and hinted at */
  async reconcile(): Promise<{ seen: number; hinted: number }> {
    const present = new Set<string>();
    let hinted = 0;
    let page = new Map<string, string>();
    const flush = async (): Promise<void> => {
      await this.publisher.publish(objectHints, ...[...page.keys()].map((key) => hintAt(key, 'listing')));
      for (const [key, state] of page) this.hinted.set(key, state);
      hinted += page.size;
      page = new Map();
    };
    for await (const head of this.store.list(corporaPrefix)) {
      present.add(head.key);
      const state = this.stateOf(head);
      if (state === null) this.hinted.delete(head.key);
      else if (this.hinted.get(head.key) !== state) page.set(head.key, state);
      if (page.size >= hintsAtOnce) await flush();
    }
    for (const key of this.hinted.keys()) if (!present.has(key)) this.hinted.delete(key);
    for (const { objectKey } of this.ledger.all()) {
      if (!present.has(objectKey)) page.set(objectKey, 'vanished');
      if (page.size >= hintsAtOnce) await flush();
    }
    await flush();
    return { seen: present.size, hinted };
  }

  /** Hints at every recording of a corpus: its annotations changed. */
  async sweepCorpus(corpus: string): Promise<void> {
    let page: ObjectHint[] = [];
    for await (const { key } of this.store.list(corpusKey(corpus, ''))) {
      if (isAudioPath(key)) page.push(hintAt(key, 'annotations'));
      if (page.length < hintsAtOnce) continue;
      await this.publisher.publish(objectHints, ...page);
      page = [];
    }
    await this.publisher.publish(objectHints, ...page);
  }

  /** @returns null if there is nothing to decide: the ledger describes the object, or it is none of ours */
  private stateOf({ key, etag }: ObjectHead): string | null {
    const place = parseCorpusKey(key);
    if (!place) return null;
    if (isAnnotationPath(place.path) || isArchivePath(place.path)) return etag;
    if (!isAudioPath(place.path)) return null;
    const known = this.ledger.get(utteranceIdOf(place.corpus, place.path))?.etag;
    // Once what the ledger says has changed, the object is looked at again.
    return known === etag ? null : `${etag} ${known ?? ''}`;
  }
}
