/**
 * Lists the bucket. It hints at every object whose present version (from object and annotations) the ledger does not have, and at
 * every utterance whose object was deleted. This repairs lost events. It also repairs late records of another instance that was
 * stopped, woke up and published an older state.
 *
 * Delivery: the listing remembers a hint only once it is durable, so a listing that fails half-way starts again without a gap. An
 * object with a dead letter for its state gets no further hint, also after a restart (refused-objects.ts).
 *
 * Memory: hints go out in pages. But a listing holds the key of every object under `corpora/`, and the ledger holds the record of
 * every utterance.
 */
import { corporaPrefix, corpusKey, isUsableKey, parseCorpusKey, utteranceIdOf } from '#contracts/object-keys.js';
import { hintAt, objectHints, type ObjectHint } from '#contracts/object-hints.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { isArchivePath, isAudioPath } from '#corpora/audio-paths.js';
import { isAnnotationPath } from '#corpora/corpus-readers.js';
import type { ObjectHead, Objects } from '#storage/object-store.js';
import type { Publisher } from '#streaming/publisher.js';
import type { Corpus, CorpusCatalogue } from './corpus-catalogue.js';
import { describeObject } from './describe-object.js';
import type { WarningPublisher } from './publish-warnings.js';
import { refusedState, RefusedObjects } from './refused-objects.js';
import type { UtteranceLedger } from './utterance-ledger.js';

/** Most facts in one call of the publisher. */
const hintsAtOnce = 1_000;
/** A store may list, for good, an object that it does not give. */
const absencesAtMost = 5;

export class BucketReconciler {
  /**
   * The state of object and annotations that this instance hinted at, by key. It hints once at each state. An entry is dropped
   * when the topic has another record of the object, because that record may undo the hint's effect.
   */
  private readonly hinted = new Map<string, string>();
  /** Keys at which a hint found no object, and how often. */
  private readonly absences = new Map<string, number>();
  private readonly newlyAbsent = new Set<string>();
  /** Recordings that the running listing left out, with the reason, by corpus. */
  private readonly leftOut = new Map<string, [path: string, because: string][]>();

  constructor(
    private readonly store: Pick<Objects, 'list'>,
    private readonly publisher: Pick<Publisher<'ingest'>, 'publishApart'>,
    private readonly ledger: UtteranceLedger,
    private readonly catalogue: CorpusCatalogue,
    private readonly warnings: Pick<WarningPublisher, 'publish'>,
    private readonly refused = new RefusedObjects(),
  ) {}

  /**
   * A hint found no object at its key. If the next listing has it again, it came while nobody looked, perhaps with the same
   * bytes as before: then the listing hints at it once more.
   */
  foundAbsent(key: string): void {
    this.newlyAbsent.add(key);
  }

  /** @returns the numbers of objects seen and hinted at */
  async reconcile(): Promise<{ seen: number; hinted: number }> {
    const present = new Set<string>();
    const corpora = new Map<string, Corpus>();
    this.catalogue.learnRecordings();
    this.leftOut.clear();
    for (const utteranceId of this.ledger.takeChanged()) this.hinted.delete(`${corporaPrefix}${utteranceId}`);
    this.forgetHintsAtAbsent();
    /** Unreadable corpora with the reason. A listing tries each once, not for every object. */
    const unreadable = new Map<string, PipelineError>();
    let hinted = 0;
    let page = new Map<string, string>();
    const flush = async (): Promise<void> => {
      const hints = [...page].map(([key, state]) => ({ ...hintAt(key, 'listing'), state }));
      await this.publisher.publishApart(objectHints, hints);
      for (const [key, state] of page) this.hinted.set(key, state);
      hinted += page.size;
      page = new Map();
    };
    for await (const head of this.store.list(corporaPrefix)) {
      present.add(head.key);
      const state = await this.stateOf(head, unreadable, corpora);
      if (state === null) this.hinted.delete(head.key);
      else if (this.hinted.get(head.key) !== state && !this.isRefused(head.key, state)) page.set(head.key, state);
      if (page.size >= hintsAtOnce) await flush();
    }
    for (const key of this.hinted.keys()) if (!present.has(key)) this.hinted.delete(key);
    for (const key of this.absences.keys()) if (!present.has(key)) this.absences.delete(key);
    this.refused.keepOnly(present);
    for (const { objectKey } of this.ledger.all()) {
      if (!present.has(objectKey)) page.set(objectKey, 'vanished');
      if (page.size >= hintsAtOnce) await flush();
    }
    await flush();
    await this.warnings.publish(corpora.values(), this.leftOut);
    return { seen: present.size, hinted };
  }

  private forgetHintsAtAbsent(): void {
    for (const key of this.newlyAbsent) {
      const times = (this.absences.get(key) ?? 0) + 1;
      this.absences.set(key, times);
      if (times <= absencesAtMost) this.hinted.delete(key);
    }
    this.newlyAbsent.clear();
  }

  private isRefused(key: string, state: string): boolean {
    const place = parseCorpusKey(key);
    return this.refused.has(key, state, place ? this.ledger.get(utteranceIdOf(place.corpus, place.path))?.ingestedAt : undefined);
  }

  /**
   * Hints at the recordings of a corpus whose version changes by its changed annotations. If the annotations cannot be read it hints
   * at all recordings, because each of them fails.
   * A recording that is just being decided by older annotations gets an outdated record, and the next listing finds it.
   */
  async sweepCorpus(name: string): Promise<void> {
    const corpus = await this.readableCorpus(name, new Map(), Date.now());
    let page: ObjectHint[] = [];
    for await (const head of this.store.list(corpusKey(name, ''))) {
      const path = parseCorpusKey(head.key)?.path ?? '';
      if (!isAudioPath(path) || !isUsableKey(head.key)) continue;
      const known = this.ledger.get(utteranceIdOf(name, path))?.version;
      const isLeftOut = corpus?.takes.leftOut(path) !== undefined;
      if (isLeftOut ? known === undefined : corpus && known === versionOf(corpus, head, path)) continue;
      page.push(hintAt(head.key, 'annotations'));
      if (page.length < hintsAtOnce) continue;
      await this.publisher.publishApart(objectHints, page);
      page = [];
    }
    await this.publisher.publishApart(objectHints, page);
  }

  /** @returns null if there is nothing to decide: the ledger describes the object, or ingest does not take it */
  private async stateOf(head: ObjectHead, unreadable: Map<string, PipelineError>, corpora: Map<string, Corpus>): Promise<string | null> {
    const place = parseCorpusKey(head.key);
    if (!place) return null;
    const isAudio = isAudioPath(place.path);
    if (!isAudio && !isAnnotationPath(place.path) && !isArchivePath(place.path)) return null;
    // No request is made for such a key: the decision about the hint writes a dead letter.
    if (!isUsableKey(head.key)) return `${head.etag} OBJECT_KEY_INVALID`;
    if (!isAudio) return head.etag;
    const known = this.ledger.get(utteranceIdOf(place.corpus, place.path))?.version;
    const corpus = await this.readableCorpus(place.corpus, unreadable);
    if (corpus) corpora.set(place.corpus, corpus);
    const leftOut = corpus?.takes.leftOut(place.path);
    if (leftOut !== undefined) {
      const others = this.leftOut.get(place.corpus) ?? [];
      this.leftOut.set(place.corpus, others);
      others.push([place.path, leftOut]);
      return known === undefined ? null : `${head.etag} left out`;
    }
    const refusal = unreadable.get(place.corpus);
    const version = corpus ? versionOf(corpus, head, place.path) : refusal;
    if (version instanceof PipelineError) return refusedState(head.etag, version);
    return known === version ? null : `${head.etag} ${version}`;
  }

  private async readableCorpus(name: string, unreadable: Map<string, PipelineError>, asOfMs = 0): Promise<Corpus | null> {
    if (unreadable.has(name)) return null;
    try {
      return await this.catalogue.corpus(name, asOfMs);
    } catch (error) {
      unreadable.set(name, permanent(error));
      return null;
    }
  }
}

/** @returns the error in place of a version if the utterance's annotation cannot be used; the decision writes a dead letter */
function versionOf(corpus: Corpus, head: ObjectHead, path: string): string | PipelineError {
  try {
    return describeObject(corpus, head, path).record.version;
  } catch (error) {
    // An unknown error concerns this object only: the listing goes on, and the decision about the hint meets the error again.
    return error instanceof PipelineError ? error : 'UNKNOWN';
  }
}

/** @throws the error if it is retryable */
function permanent(error: unknown): PipelineError {
  if (error instanceof PipelineError && error.fate === 'permanent') return error;
  throw error;
}
