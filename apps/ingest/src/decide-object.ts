/**
 * Decides about one object: it is a new version of an utterance, a deleted utterance, annotations of other objects, an archive
 * to unpack, or a file that ingest does not take.
 *
 * Delivery: a hint may come any number of times and in any order. Each time the store is asked, and an utterance is published only
 * if its version differs from the current record. So repeated hints publish nothing. All hints of an object reach one partition,
 * so one instance decides about it. The hint settles after the publish is acknowledged.
 *
 * Errors: if the object cannot be ingested, this throws a permanent PipelineError, which becomes the object's dead letter. That
 * also holds for an unusable annotation file, and for each recording of its corpus until the file is mended.
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
import { refusedState, type RefusedObjects } from './refused-objects.js';
import type { UtteranceLedger } from './utterance-ledger.js';

export const decisions = [
  'not-ours',
  'annotations',
  'unpacking',
  'unchanged',
  'refused-before',
  'left-out',
  'ingested',
  'tombstoned',
] as const;
export type Decision = (typeof decisions)[number];

export interface ObjectDeciderParts {
  store: Pick<Objects, 'head' | 'find' | 'put'> & { readonly bucket: string };
  publisher: Pick<Publisher<'ingest'>, 'publish' | 'publishApart' | 'tombstone'>;
  catalogue: CorpusCatalogue;
  ledger: UtteranceLedger;
  topicPrefix: string;
  /** Stores a job to unpack an archive, once for each state of it; false if the state had one before. */
  unpack: (archive: ArchiveToUnpack) => Promise<boolean>;
  /** Called when an utterance is published without a category although its corpus names an emotion. */
  onNoCategory: (reason: string) => void;
  /** Hints at every recording of a corpus whose annotations changed. */
  sweepCorpus: (corpus: string) => Promise<void>;
  /** There was no object at the key of a hint. */
  onAbsent: (key: string) => void;
  /** Remembers the refusals that have a dead letter. */
  refused: Pick<RefusedObjects, 'has' | 'forget'>;
}

/** Filled while a decision is made. */
interface Seen {
  /** Null where there is no object; undefined before the store was asked. */
  etag?: string | null;
}

export interface ArchiveToUnpack {
  head: ObjectHead;
  corpus: string;
  /** The record of the hint. If the archive is bad, its dead letter is about this record. */
  origin: RecordOrigin;
  /** Unpack the archive even if it was refused in the same state. */
  again: boolean;
}

const sweptSchema = z.object({
  etag: z.string().nullable(),
  refusal: z.object({ code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]), message: z.string() }).optional(),
});

export class ObjectDecider {
  constructor(private readonly parts: ObjectDeciderParts) {}

  /**
   * @param origin topic, partition and offset of the hint
   * @throws PipelineError once for each state of the object, unless the hint says `again`: other hints meet the same error
   */
  async decide(hint: ObjectHint, origin: RecordOrigin): Promise<Decision> {
    const { refused, ledger } = this.parts;
    const seen: Seen = {};
    const place = parseCorpusKey(hint.key);
    try {
      const decision = await this.decideNow(hint, origin, seen);
      if (decision !== 'unpacking' && !isArchivePath(place?.path ?? '')) refused.forget(hint.key);
      return decision;
    } catch (error) {
      if (!(error instanceof PipelineError) || error.fate !== 'permanent') throw error;
      const objectState = refusedState(seen.etag ?? null, error);
      const currentSince = place ? ledger.get(utteranceIdOf(place.corpus, place.path))?.ingestedAt : undefined;
      if (!hint.again && refused.has(hint.key, objectState, currentSince)) return 'refused-before';
      throw new PipelineError(error.code, error.message, { cause: error.cause, context: { ...error.context, objectState } });
    }
  }

  private async decideNow(hint: ObjectHint, origin: RecordOrigin, seen: Seen): Promise<Decision> {
    const place = parseCorpusKey(hint.key);
    if (!place) return 'not-ours';
    const { corpus, path } = place;
    if (!isAnnotationPath(path) && !isArchivePath(path) && !isAudioPath(path)) return 'not-ours';
    refuseBadKey(hint.key);
    if (isAnnotationPath(path)) return this.applyAnnotations(hint, corpus, seen);
    if (isArchivePath(path)) return this.unpack(hint, corpus, { origin, seen });
    const head = await this.headOf(hint, seen);
    return head ? this.ingest(head, place, hint) : this.writeTombstone(utteranceIdOf(place.corpus, place.path));
  }

  /**
   * Hints at every recording of the corpus, once for each state of the file, also across restarts.
   * @throws PipelineError if the file makes the corpus unusable; one dead letter for each state of the file
   */
  private async applyAnnotations(hint: ObjectHint, corpus: string, seen: Seen): Promise<Decision> {
    const { store, sweepCorpus } = this.parts;
    const etag = (await this.headOf(hint, seen))?.etag ?? null;
    const before = await findState(store, sweptAnnotationsKey(hint.key), sweptSchema);
    if (before?.etag === etag && !hint.again) {
      // The process may have ended before the letter was written.
      if (before.refusal) throw new PipelineError(before.refusal.code, before.refusal.message);
      return 'unchanged';
    }
    // Another hint may be using the old annotations at this moment, so the listing waits until that is no longer possible.
    await sleep(trustMs);
    await sweepCorpus(corpus);
    const refusal = etag === null ? null : await this.refusalOf(corpus);
    const state: z.infer<typeof sweptSchema> = { etag, ...(refusal && { refusal: { code: refusal.code, message: refusal.message } }) };
    await store.put(sweptAnnotationsKey(hint.key), JSON.stringify(state));
    if (refusal) throw refusal;
    return 'annotations';
  }

  /** @returns the reason why the corpus is refused; undefined or null if it is not */
  private async refusalOf(corpus: string): Promise<PipelineError | null> {
    try {
      await this.parts.catalogue.corpus(corpus);
      return null;
    } catch (error) {
      if (error instanceof PipelineError && error.fate === 'permanent') return error;
      throw error;
    }
  }

  /** Deleting an archive deletes none of the objects that it brought. */
  private async unpack(hint: ObjectHint, corpus: string, { origin, seen }: { origin: RecordOrigin; seen: Seen }): Promise<Decision> {
    const head = await this.headOf(hint, seen);
    return head && (await this.parts.unpack({ head, corpus, origin, again: hint.again })) ? 'unpacking' : 'unchanged';
  }

  /** @returns null where there is no object; the next listing learns of it, in case the object came while nobody looked */
  private async headOf({ key }: ObjectHint, seen: Seen): Promise<ObjectHead | null> {
    const head = await this.parts.store.head(key);
    seen.etag = head?.etag ?? null;
    if (!head) this.parts.onAbsent(key);
    return head;
  }

  private async writeTombstone(utteranceId: string): Promise<Decision> {
    const { store, publisher, ledger, topicPrefix } = this.parts;
    if (!ledger.get(utteranceId)) return 'unchanged';
    // A store answers the same way for a missing object and for a missing bucket.
    if (!(await store.head(bucketMarkerKey(topicPrefix)))) {
      throw new PipelineError(
        'STORAGE_UNAVAILABLE',
        `Bucket ${store.bucket} lacks the object that marks it as this pipeline's, so ingest counts nothing as deleted. Check S3_BUCKET`,
      );
    }
    await ledger.send(utteranceId, null, () => publisher.tombstone(utterances, utteranceId));
    return 'tombstoned';
  }

  private async ingest(head: ObjectHead, place: { corpus: string; path: string }, hint: ObjectHint): Promise<Decision> {
    const { catalogue, ledger, publisher, onNoCategory } = this.parts;
    const annotationsAsOfMs = hint.reason === 'annotations' ? Date.parse(hint.hintedAt) : 0;
    const corpus = await catalogue.corpus(place.corpus, annotationsAsOfMs);
    if (corpus.takes.leftOut(place.path) !== undefined) {
      const utteranceId = utteranceIdOf(place.corpus, place.path);
      return ledger.get(utteranceId) ? this.writeTombstone(utteranceId) : 'left-out';
    }
    const { record, noCategoryBecause } = describeObject(corpus, head, place.path);
    const isKnown = ledger.get(record.utteranceId)?.version === record.version;
    if (isKnown && !hint.again && hint.letGoVersion !== record.version) return 'unchanged';
    await ledger.send(record.utteranceId, record, () => publisher.publish(utterances, record));
    // Recordings that used this one's row until now, because their paths resemble it, and worse copies get a new decision.
    const displaced = [...(corpus.annotations.rows?.takeDisplaced() ?? []), ...corpus.takes.takeDisplaced()].map((path) =>
      hintAt(corpusKey(place.corpus, path), 'annotations'),
    );
    if (displaced.length > 0) await publisher.publishApart(objectHints, displaced);
    if (noCategoryBecause) onNoCategory(noCategoryBecause);
    return 'ingested';
  }
}
