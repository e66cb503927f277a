/**
 * Reads each corpus from the bucket (its reader, options and annotations), and caches it while its files are unchanged.
 * `corpus.json` names the reader. Without it, the reader that recognises the corpus is chosen once, by a conditional put, so that
 * two instances never read one corpus in two ways.
 *
 * A corpus whose options or annotations cannot be used is refused, whatever the error. The error is cached like a corpus until a
 * file changes, so that a bad file of many megabytes is not read again for each recording. All other corpora go on. Only
 * retryable errors (STORAGE_UNAVAILABLE) are thrown without being cached.
 */
import { z } from 'zod';
import type { SilenceProfile, Split } from '#contracts/labels.js';
import { corpusKey, parseCorpusKey, readerChoiceKey } from '#contracts/object-keys.js';
import { parseOutsideJson, usualMaxDepth } from '#contracts/outside-json.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { CorpusReader } from '#corpora/corpus-reader.js';
import { type CorpusOptions, maxOptionsBytes, parseCorpusOptions } from '#corpora/corpus-options.js';
import { optionsPath, readerNamed, readerNames, recogniseReaders } from '#corpora/corpus-readers.js';
import { type ReadAnnotations, readAnnotations } from '#corpora/read-annotations.js';
import { Takes } from '#corpora/takes.js';
import type { Logger } from '#service/logger.js';
import type { ObjectHead, Objects } from '#storage/object-store.js';
import { fateOf } from '#streaming/retry.js';
import { SpeakerRegister } from './speaker-register.js';
import { type AnnotationLimits, defaultAnnotationLimits, refuseLargeAnnotations, refuseLongAnnotations } from './annotation-limits.js';

const readerChoiceSchema = z.object({ reader: z.enum(readerNames) });

export interface Corpus {
  name: string;
  reader: CorpusReader;
  options: CorpusOptions;
  silence: SilenceProfile;
  annotations: ReadAnnotations;
  /** Splits of speakers, by the corpus's own ids. A hash gives those of all others. */
  splits: ReadonlyMap<string, Split>;
  takes: Takes;
}

/** A corpus or its refusal, and the state of the bucket from which it was read. */
interface Loaded {
  outcome: Corpus | PipelineError;
  optionsEtag: string | null;
  /** Null if the options were refused. */
  chosen: { options: CorpusOptions; reader: CorpusReader } | null;
  /** Changes when any annotation file of the reader changes. */
  annotationDigest: string;
}

interface Kept {
  loaded: Loaded;
  checkedAtMs: number;
}

/** Other hints trust annotations that were read this recently. A change of annotations sends hints that name its time, and these read again. */
export const trustMs = 1_000;
/** A reader is chosen by this many objects of an unknown corpus. */
const recognitionSample = 200;
/** Most remarks of a reader in a log line. A remark may quote a word of the file. */
const remarksInLog = 20;
/** Tries to read the files: an annotation file may be deleted between its listing and its reading. */
const triesOfReading = 3;

export class CorpusCatalogue {
  private readonly kept = new Map<string, Kept>();
  /** Each corpus as of its last check. */
  private readonly refusedNames = new Set<string>();
  private readonly checks = new Map<string, { startedAtMs: number; corpus: Promise<Corpus> }>();

  constructor(
    private readonly store: Objects,
    private readonly logger: Logger,
    /** Paths of a corpus's known recordings. */
    private readonly recordingsOf: (corpus: string) => Iterable<string> = () => [],
    private readonly limits: AnnotationLimits = defaultAnnotationLimits,
    private readonly register = new SpeakerRegister(store),
  ) {}

  /** Number of refused corpora, among those that this instance has checked. */
  get refusedCount(): number {
    return this.refusedNames.size;
  }

  /** Tells row-based annotations which recordings exist now, so that rows of deleted recordings become free. */
  learnRecordings(): void {
    for (const [name, { loaded }] of this.kept)
      if (!(loaded.outcome instanceof PipelineError)) {
        loaded.outcome.annotations.rows?.know(this.recordingsOf(name));
        loaded.outcome.takes.know(this.recordingsOf(name));
      }
  }

  /**
   * @param asOfMs annotations read before this time are read again, because a hint says that they changed then
   * @throws PipelineError CORPUS_OPTIONS_INVALID, MANIFEST_INVALID, ANNOTATIONS_UNREADABLE, OBJECT_REFUSED, STORAGE_UNAVAILABLE
   */
  async corpus(name: string, asOfMs = 0): Promise<Corpus> {
    const needed = Math.max(asOfMs, Date.now() - trustMs);
    const kept = this.kept.get(name);
    if (kept && kept.checkedAtMs >= needed) return corpusOf(kept.loaded);
    const underWay = this.checks.get(name);
    if (underWay && underWay.startedAtMs >= needed) return underWay.corpus;
    return this.check(name, kept?.loaded);
  }

  /** Callers share a check that is running, if it began late enough for them. */
  private check(name: string, known: Loaded | undefined): Promise<Corpus> {
    const startedAtMs = Date.now();
    const corpus = this.load(name, known).then((loaded) => {
      if ((this.kept.get(name)?.checkedAtMs ?? 0) <= startedAtMs) this.kept.set(name, { loaded, checkedAtMs: startedAtMs });
      return corpusOf(loaded);
    });
    const check = { startedAtMs, corpus };
    this.checks.set(name, check);
    const endCheck = (): void => {
      if (this.checks.get(name) === check) this.checks.delete(name);
    };
    corpus.then(
      () => {
        endCheck();
        this.refusedNames.delete(name);
      },
      (error: unknown) => {
        endCheck();
        if (fateOf(error) === 'permanent') this.refusedNames.add(name);
      },
    );
    return corpus;
  }

  private async load(name: string, known: Loaded | undefined): Promise<Loaded> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.loadOnce(name, known);
      } catch (error) {
        const isGone = error instanceof PipelineError && error.code === 'OBJECT_GONE';
        if (isGone && tries < triesOfReading) continue;
        throw refusalOf(name, error);
      }
    }
  }

  private async loadOnce(name: string, known: Loaded | undefined): Promise<Loaded> {
    const optionsHead = await this.store.head(corpusKey(name, optionsPath));
    const optionsEtag = optionsHead?.etag ?? null;
    const isKnown = known?.optionsEtag === optionsEtag;
    if (isKnown && known.chosen === null) return known;
    const options = (isKnown && known.chosen?.options) || (await this.readOptions(name, optionsHead));
    if (options instanceof PipelineError) return this.refused(name, { outcome: options, optionsEtag, chosen: null, annotationDigest: '' });
    const reader = (isKnown && known.chosen?.reader) || (readerNamed(options.reader ?? '') ?? (await this.chooseReader(name)));
    const heads = await this.annotationHeads(name, reader);
    const annotationDigest = JSON.stringify([...heads].map(([path, { etag }]) => [path, etag]));
    if (isKnown && known.annotationDigest === annotationDigest) return known;
    const loaded = { optionsEtag, chosen: { options, reader }, annotationDigest };
    const annotations = await this.readAnnotations(name, loaded.chosen, heads);
    if (annotations instanceof PipelineError) return this.refused(name, { ...loaded, outcome: annotations });
    const splits = await this.register.place(name, annotations.speakers ?? [], options.splits ?? new Map());
    const remarks = Object.fromEntries(Object.entries(annotations.remarks).slice(0, remarksInLog));
    this.logger.info({ corpus: name, reader: reader.name, annotationFiles: heads.size, remarks }, 'read a corpus');
    const takes = new Takes(reader);
    takes.know(this.recordingsOf(name));
    return { ...loaded, outcome: { name, reader, options, silence: options.silence ?? reader.silence, annotations, splits, takes } };
  }

  private refused(name: string, loaded: Loaded & { outcome: PipelineError }): Loaded {
    const { code, message } = loaded.outcome;
    this.logger.error({ corpus: name, code }, `refused a corpus: ${message}`);
    return loaded;
  }

  /** @returns the corpus, or the error that its files cause @throws errors of the store */
  private async readAnnotations(
    name: string,
    { reader, options }: { reader: CorpusReader; options: CorpusOptions },
    heads: ReadonlyMap<string, ObjectHead>,
  ): Promise<ReadAnnotations | PipelineError> {
    const tooLarge = resultOf(name, () => refuseLargeAnnotations(heads, this.limits));
    if (tooLarge instanceof PipelineError) return tooLarge;
    const files = new Map<string, Uint8Array>();
    for (const [path, { key }] of heads) files.set(path, (await this.store.get(key)).bytes);
    return resultOf(name, () => {
      refuseLongAnnotations(files, this.limits);
      const annotations = readAnnotations(reader, files, options);
      annotations.rows?.know(this.recordingsOf(name));
      return annotations;
    });
  }

  /** @returns heads of the present annotation files, in a stable order. It never lists a whole corpus. */
  private async annotationHeads(name: string, { annotationPaths, annotationFolders }: CorpusReader): Promise<Map<string, ObjectHead>> {
    const heads = new Map<string, ObjectHead>();
    for (const path of annotationPaths) {
      const head = await this.store.head(corpusKey(name, path));
      if (head) heads.set(path, head);
    }
    for (const folder of annotationFolders?.folders ?? []) {
      const found: [string, ObjectHead][] = [];
      for await (const head of this.store.list(corpusKey(name, folder))) {
        const path = parseCorpusKey(head.key)?.path ?? '';
        if (annotationFolders?.files.test(path.slice(folder.length))) found.push([path, head]);
      }
      for (const [path, head] of found.sort(([a], [b]) => (a < b ? -1 : 1))) heads.set(path, head);
    }
    return heads;
  }

  private async readOptions(name: string, head: ObjectHead | null): Promise<CorpusOptions | PipelineError> {
    if (!head) return {};
    const { key, sizeBytes } = head;
    // The size is checked before the object is fetched.
    if (sizeBytes > maxOptionsBytes) return optionsInvalid(`${key} has ${sizeBytes} bytes, and at most ${maxOptionsBytes} are allowed`);
    const { bytes } = await this.store.get(key);
    return resultOf(name, () => parseCorpusOptions(key, bytes));
  }

  private async chooseReader(name: string): Promise<CorpusReader> {
    const key = readerChoiceKey(name);
    const chosenBefore = await this.readerChosenBefore(key);
    if (chosenBefore) return chosenBefore;
    const paths: string[] = [];
    for await (const { key: objectKey } of this.store.list(corpusKey(name, ''))) {
      const path = parseCorpusKey(objectKey)?.path;
      if (path) paths.push(path);
      if (paths.length >= recognitionSample) break;
    }
    const recognised = recogniseReaders(paths);
    const [reader, another] = recognised as [CorpusReader, CorpusReader?];
    if (another) {
      throw optionsInvalid(
        `Corpus ${name} looks like ${recognised.map((each) => each.name).join(' and like ')}. Name the reader in ${corpusKey(name, optionsPath)}, as {"reader": "${reader.name}"}, or put the files into two corpora`,
      );
    }
    const choice = JSON.stringify({ reader: reader.name, chosenAt: new Date().toISOString() });
    const wasFirst = await this.store.put(key, choice, { onlyIf: 'absent' });
    return wasFirst === null ? ((await this.readerChosenBefore(key)) ?? reader) : reader;
  }

  private async readerChosenBefore(key: string): Promise<CorpusReader | undefined> {
    const found = await this.store.find(key);
    if (!found) return undefined;
    const limits = { maxBytes: maxOptionsBytes, maxDepth: usualMaxDepth, code: 'CORPUS_OPTIONS_INVALID', noun: key } as const;
    const parsed = readerChoiceSchema.safeParse(parseOutsideJson(found.bytes, limits));
    if (!parsed.success) throw optionsInvalid(`${key} names no known reader. Delete the object; ingest then chooses a reader again`);
    return readerNamed(parsed.data.reader);
  }
}

function corpusOf({ outcome }: Loaded): Corpus {
  if (outcome instanceof PipelineError) throw outcome;
  return outcome;
}

const optionsInvalid = (message: string): PipelineError => new PipelineError('CORPUS_OPTIONS_INVALID', message);

/** @returns the result of the work, or its error as the corpus's refusal */
function resultOf<Result>(name: string, work: () => Result): Result | PipelineError {
  try {
    return work();
  } catch (error) {
    return refusalOf(name, error) as PipelineError;
  }
}

/** @returns a retryable error unchanged, any other as a permanent one, so that an unknown error fails this corpus only */
function refusalOf(name: string, error: unknown): unknown {
  if (error instanceof PipelineError) return error;
  if (fateOf(error) === 'retryable') return error;
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new PipelineError(
    'ANNOTATIONS_UNREADABLE',
    `The options or annotations of corpus ${name} cannot be read: ${reason.slice(0, 500)}. Mend its annotation files and put them again; ingest then tries again`,
    { cause: error },
  );
}
