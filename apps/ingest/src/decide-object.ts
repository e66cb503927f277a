/**
 * Decides what one object is: an utterance's new version, an utterance that is gone, annotations that change others,
 * or nothing of ours.
 *
 * Delivery: a hint may come any number of times and in any order; the store is asked each time, and an utterance is
 * published only when its version differs from the current record, so repeats publish nothing. All hints of an object
 * reach one partition, so one instance decides about it. Publishing is acknowledged before the hint is settled.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { hintAt, objectHints, type ObjectHint } from '#contracts/object-hints.js';
import { bucketMarkerKey, corpusKey, parseCorpusKey, sweptAnnotationsKey, utteranceIdOf } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { utterances } from '#contracts/utterances.js';
import { isArchivePath, isAudioPath } from '#corpora/audio-paths.js';
import { isAnnotationPath } from '#corpora/corpus-readers.js';
import type { ObjectHead, ObjectStore } from '#storage/object-store.js';
import type { Publisher } from '#streaming/publisher.js';
import { trustMs, type CorpusCatalogue } from './corpus-catalogue.js';
import { describeObject } from './describe-object.js';
import type { UtteranceLedger } from './utterance-ledger.js';

export const decisions = ['not-ours', 'annotations', 'unpacked', 'unchanged', 'ingested', 'tombstoned'] as const;
export type Decision = (typeof decisions)[number];

export interface ObjectDeciderParts {
  store: ObjectStore;
  publisher: Publisher;
  catalogue: CorpusCatalogue;
  ledger: UtteranceLedger;
  topicPrefix: string;
  /** Puts what an archive holds into its corpus, once for each state of the archive; false if that was done before. */
  unpack: (head: ObjectHead, corpus: string) => Promise<boolean>;
  /** An utterance was published without a category although its corpus names an emotion. */
  onNoCategory: (reason: string) => void;
  /** Hints at every recording of a corpus whose annotations changed. */
  sweepCorpus: (corpus: string) => Promise<void>;
}

export class ObjectDecider {
  constructor(private readonly parts: ObjectDeciderParts) {}

  async decide(hint: ObjectHint): Promise<Decision> {
    const place = parseCorpusKey(hint.key);
    if (!place) return 'not-ours';
    if (isAnnotationPath(place.path)) return this.applyAnnotations(hint, place.corpus);
    if (isArchivePath(place.path)) return this.unpack(hint, place.corpus);
    if (!isAudioPath(place.path)) return 'not-ours';
    const head = await this.parts.store.head(hint.key);
    return head ? this.ingest(head, place, hint) : this.bury(utteranceIdOf(place.corpus, place.path));
  }

  /** Every recording of the corpus is looked at again, once for each state of the file, also across restarts. */
  private async applyAnnotations(hint: ObjectHint, corpus: string): Promise<Decision> {
    const { store, sweepCorpus } = this.parts;
    const etag = (await store.head(hint.key))?.etag ?? null;
    const before = (await store.findJson(sweptAnnotationsKey(hint.key))) as { etag: string | null } | null;
    if (before?.etag === etag && !hint.again) return 'unchanged';
    // A recording may just now be decided about by annotations as they were: it is listed once that can no longer be.
    await sleep(trustMs);
    await sweepCorpus(corpus);
    await store.put(sweptAnnotationsKey(hint.key), JSON.stringify({ etag }));
    return 'annotations';
  }

  /** What an archive brought stays when the archive goes. */
  private async unpack(hint: ObjectHint, corpus: string): Promise<Decision> {
    const head = await this.parts.store.head(hint.key);
    return head && (await this.parts.unpack(head, corpus)) ? 'unpacked' : 'unchanged';
  }

  private async bury(utteranceId: string): Promise<Decision> {
    const { store, publisher, ledger, topicPrefix } = this.parts;
    if (!ledger.get(utteranceId)) return 'unchanged';
    // A store answers in the same way for an object and for a whole bucket that is not there.
    if (!(await store.head(bucketMarkerKey(topicPrefix)))) {
      throw new PipelineError(
        'STORAGE_UNAVAILABLE',
        `Bucket ${store.bucket} does not hold what says that it is ours; nothing counts as deleted`,
      );
    }
    await ledger.send(utteranceId, null, () => publisher.tombstone(utterances, utteranceId));
    return 'tombstoned';
  }

  private async ingest(head: ObjectHead, place: { corpus: string; path: string }, hint: ObjectHint): Promise<Decision> {
    const { catalogue, ledger, publisher, onNoCategory } = this.parts;
    const annotationsAsOfMs = hint.reason === 'annotations' ? Date.parse(hint.hintedAt) : 0;
    const corpus = await catalogue.corpus(place.corpus, annotationsAsOfMs);
    const { record, noCategoryBecause } = describeObject(corpus, head, place.path);
    const isKnown = ledger.get(record.utteranceId)?.version === record.version;
    if (isKnown && !hint.again && hint.letGoVersion !== record.version) return 'unchanged';
    await ledger.send(record.utteranceId, record, () => publisher.publish(utterances, record));
    // Recordings that had this one's row until now, because theirs resembles it, are decided about anew.
    const displaced = (corpus.annotations.rows?.takeDisplaced() ?? []).map((path) => hintAt(corpusKey(place.corpus, path), 'annotations'));
    if (displaced.length > 0) await publisher.publishApart(objectHints, displaced);
    if (noCategoryBecause) onNoCategory(noCategoryBecause);
    return 'ingested';
  }
}
