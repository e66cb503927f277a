/**
 * Decides what one object is: an utterance's new version, an utterance that is gone, annotations that change others, an
 * archive to unpack, or nothing of ours.
 *
 * Delivery: a hint may come any number of times and in any order; the store is asked each time, and an utterance is
 * published only when its version differs from the current record, so repeats publish nothing. All hints of an object
 * reach one partition, so one instance decides about it. Publishing is acknowledged before the hint is settled.
 *
 * Errors: a hint whose object cannot be ingested throws a permanent PipelineError, which becomes that object's dead letter.
 * A file of annotations that cannot be used is such an object too, and so is each recording of its corpus until it is mended.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { hintAt, objectHints, type ObjectHint } from '#contracts/object-hints.js';
import { bucketMarkerKey, corpusKey, parseCorpusKey, refuseBadKey, sweptAnnotationsKey, utteranceIdOf } from '#contracts/object-keys.js';
import { errorCodes, PipelineError, type ErrorCode } from '#contracts/pipeline-error.js';
import { utterances } from '#contracts/utterances.js';
import { isArchivePath, isAudioPath } from '#corpora/audio-paths.js';
import { isAnnotationPath } from '#corpora/corpus-readers.js';
import type { ObjectHead, Objects } from '#storage/object-store.js';
import type { RecordOrigin } from '#streaming/dead-letter-office.js';
import type { Publisher } from '#streaming/publisher.js';
import { trustMs, type CorpusCatalogue } from './corpus-catalogue.js';
import { describeObject } from './describe-object.js';
import { findState } from './find-state.js';
import type { UtteranceLedger } from './utterance-ledger.js';

export const decisions = ['not-ours', 'annotations', 'unpacking', 'unchanged', 'ingested', 'tombstoned'] as const;
export type Decision = (typeof decisions)[number];

export interface ObjectDeciderParts {
  store: Pick<Objects, 'head' | 'find' | 'put'> & { readonly bucket: string };
  publisher: Pick<Publisher<'ingest'>, 'publish' | 'publishApart' | 'tombstone'>;
  catalogue: CorpusCatalogue;
  ledger: UtteranceLedger;
  topicPrefix: string;
  /** Makes it durable that an archive will be unpacked, once for each state of it; false if that was so before. */
  unpack: (archive: ArchiveToUnpack) => Promise<boolean>;
  /** An utterance was published without a category although its corpus names an emotion. */
  onNoCategory: (reason: string) => void;
  /** Hints at every recording of a corpus whose annotations changed. */
  sweepCorpus: (corpus: string) => Promise<void>;
  /** There was no object at the key of a hint. */
  onAbsent: (key: string) => void;
}

export interface ArchiveToUnpack {
  head: ObjectHead;
  corpus: string;
  /** The record that asks for it: if the archive turns out bad, its dead letter is about this record. */
  origin: RecordOrigin;
  /** Try again an archive that was refused in the same state. */
  again: boolean;
}

const sweptSchema = z.object({
  etag: z.string().nullable(),
  refusal: z.object({ code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]), message: z.string() }).optional(),
});

export class ObjectDecider {
  constructor(private readonly parts: ObjectDeciderParts) {}

  /** @param origin where the hint stood */
  async decide(hint: ObjectHint, origin: RecordOrigin): Promise<Decision> {
    const place = parseCorpusKey(hint.key);
    if (!place) return 'not-ours';
    const { corpus, path } = place;
    if (!isAnnotationPath(path) && !isArchivePath(path) && !isAudioPath(path)) return 'not-ours';
    refuseBadKey(hint.key);
    if (isAnnotationPath(path)) return this.applyAnnotations(hint, corpus);
    if (isArchivePath(path)) return this.unpack(hint, corpus, origin);
    const head = await this.headOf(hint);
    return head ? this.ingest(head, place, hint) : this.bury(utteranceIdOf(place.corpus, place.path));
  }

  /**
   * Has every recording of the corpus looked at again, once for each state of the file, also across restarts.
   * @throws PipelineError for a file by which the corpus is refused: the file's own dead letter, each time, and counted once
   */
  private async applyAnnotations(hint: ObjectHint, corpus: string): Promise<Decision> {
    const { store, sweepCorpus } = this.parts;
    const etag = (await this.headOf(hint))?.etag ?? null;
    const before = await findState(store, sweptAnnotationsKey(hint.key), sweptSchema);
    if (before?.etag === etag && !hint.again) {
      // The process may have ended before the letter was written.
      if (before.refusal) throw new PipelineError(before.refusal.code, before.refusal.message);
      return 'unchanged';
    }
    // A recording may just now be decided about by annotations as they were: it is listed once that can no longer be.
    await sleep(trustMs);
    await sweepCorpus(corpus);
    const refusal = etag === null ? null : await this.refusalOf(corpus);
    const state: z.infer<typeof sweptSchema> = { etag, ...(refusal && { refusal: { code: refusal.code, message: refusal.message } }) };
    await store.put(sweptAnnotationsKey(hint.key), JSON.stringify(state));
    if (refusal) throw refusal;
    return 'annotations';
  }

  /** @returns why a corpus is refused, if it is */
  private async refusalOf(corpus: string): Promise<PipelineError | null> {
    try {
      await this.parts.catalogue.corpus(corpus);
      return null;
    } catch (error) {
      if (error instanceof PipelineError && error.fate === 'permanent') return error;
      throw error;
    }
  }

  /** The objects that an archive brought stay when the archive goes. */
  private async unpack(hint: ObjectHint, corpus: string, origin: RecordOrigin): Promise<Decision> {
    const head = await this.headOf(hint);
    return head && (await this.parts.unpack({ head, corpus, origin, again: hint.again })) ? 'unpacking' : 'unchanged';
  }

  private async headOf({ key }: ObjectHint): Promise<ObjectHead | null> {
    const head = await this.parts.store.head(key);
    if (!head) this.parts.onAbsent(key);
    return head;
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
