/**
 * Decides what one object is: an utterance's new version, an utterance that is gone, annotations that change others,
 * or nothing of ours.
 *
 * Delivery: a hint may come any number of times and in any order; the store is asked each time, and an utterance is
 * published only when its version differs from the current record, so repeats publish nothing. All hints of an object
 * reach one partition, so one instance decides about it. Publishing is acknowledged before the hint is settled.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectHint } from '#contracts/object-hints.js';
import { bucketMarkerKey, parseCorpusKey, sweptAnnotationsKey, utteranceIdOf } from '#contracts/object-keys.js';
import type { Labels } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { utterances, utteranceVersion, type UtteranceIngested } from '#contracts/utterances.js';
import { isArchivePath, isAudioPath } from '#corpora/audio-paths.js';
import { isAnnotationPath } from '#corpora/corpus-readers.js';
import { hashedSplit, isWithheld } from '#corpora/splits.js';
import type { ObjectHead, ObjectStore } from '#storage/object-store.js';
import type { Publisher } from '#streaming/publisher.js';
import { trustMs, type CorpusCatalogue } from './corpus-catalogue.js';
import type { UtteranceLedger } from './utterance-ledger.js';

export type Decision = 'not-ours' | 'annotations' | 'unpacked' | 'unchanged' | 'ingested' | 'tombstoned';

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
    const { store, ledger, topicPrefix } = this.parts;
    if (!ledger.get(utteranceId)) return 'unchanged';
    // A store answers in the same way for an object and for a whole bucket that is not there.
    if (!(await store.head(bucketMarkerKey(topicPrefix)))) {
      throw new PipelineError(
        'STORAGE_UNAVAILABLE',
        `Bucket ${store.bucket} does not hold what says that it is ours; nothing counts as deleted`,
      );
    }
    await this.parts.publisher.tombstone(utterances, utteranceId);
    this.parts.ledger.apply(utteranceId, null);
    return 'tombstoned';
  }

  private async ingest(head: ObjectHead, place: { corpus: string; path: string }, hint: ObjectHint): Promise<Decision> {
    const { record, noCategoryBecause } = await this.describe(head, place, hint.reason === 'annotations' ? Date.parse(hint.hintedAt) : 0);
    const current = this.parts.ledger.get(record.utteranceId);
    if (current?.version === record.version && !hint.again) return 'unchanged';
    await this.parts.publisher.publish(utterances, record);
    this.parts.ledger.apply(record.utteranceId, record);
    if (noCategoryBecause) this.parts.onNoCategory(noCategoryBecause);
    return 'ingested';
  }

  /** @throws PipelineError MANIFEST_INVALID when the utterance's own annotation cannot be used */
  private async describe(head: ObjectHead, place: { corpus: string; path: string }, annotationsAsOfMs: number) {
    const corpus = await this.parts.catalogue.corpus(place.corpus, annotationsAsOfMs);
    const annotation = corpus.annotations.annotationOf(place.path);
    const utteranceId = utteranceIdOf(place.corpus, place.path);
    const split = annotation.split ?? hashedSplit(place.corpus, annotation.labels.speakerId);
    // Two corpora may both have a speaker "1": the corpus's name goes before it.
    const speakerId = annotation.labels.speakerId === undefined ? undefined : `${place.corpus}/${annotation.labels.speakerId}`;
    const labels: Labels = { ...annotation.labels, speakerId };
    const facts = {
      etag: head.etag,
      sizeBytes: head.sizeBytes,
      labels,
      split,
      withheld: isWithheld(split, speakerId, utteranceId),
      silence: corpus.silence,
    };
    const record: UtteranceIngested = {
      utteranceId,
      version: utteranceVersion(facts),
      corpus: place.corpus,
      objectKey: head.key,
      ...facts,
      ingestedAt: new Date().toISOString(),
    };
    return { record, noCategoryBecause: annotation.noCategoryBecause };
  }
}
