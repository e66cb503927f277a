/**
 * What is known of each corpus: its reader, its options and its annotations, read from the bucket and kept while they
 * are unchanged. `corpus.json` names the reader; without it the one that recognises the corpus is chosen once, by a
 * conditional put, so that two instances never read one corpus in two ways.
 */
import type { SilenceProfile } from '#contracts/labels.js';
import { corpusKey, parseCorpusKey, readerChoiceKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { CorpusReader } from '#corpora/corpus-reader.js';
import { type CorpusOptions, parseCorpusOptions } from '#corpora/corpus-options.js';
import { optionsPath, readerNamed, recogniseReaders } from '#corpora/corpus-readers.js';
import { type ReadAnnotations, readAnnotations } from '#corpora/read-annotations.js';
import type { Logger } from '#service/logger.js';
import type { Objects } from '#storage/object-store.js';

export interface Corpus {
  name: string;
  reader: CorpusReader;
  options: CorpusOptions;
  silence: SilenceProfile;
  annotations: ReadAnnotations;
}

/** A corpus and the state of the bucket that it was read from. */
interface Loaded {
  corpus: Corpus;
  optionsEtag: string | null;
  /** Changes when any annotation file of its reader changes. */
  annotationDigest: string;
}

interface Kept {
  loaded: Loaded;
  checkedAtMs: number;
}

/** A change of annotations sends hints at all recordings, which name its time; other hints trust what was read this lately. */
export const trustMs = 1_000;
/** How many objects of an unknown corpus are looked at before a reader is chosen. */
const recognitionSample = 200;

export class CorpusCatalogue {
  private readonly kept = new Map<string, Kept>();
  private readonly checks = new Map<string, { startedAtMs: number; corpus: Promise<Corpus> }>();

  constructor(
    private readonly store: Objects,
    private readonly logger: Logger,
    /** Paths of a corpus's recordings that are known so far. */
    private readonly recordingsOf: (corpus: string) => Iterable<string> = () => [],
  ) {}

  /** Tells annotations that name each recording in a row which recordings there are now: rows of those that went are free. */
  learnRecordings(): void {
    for (const [name, { loaded }] of this.kept) loaded.corpus.annotations.rows?.know(this.recordingsOf(name));
  }

  /**
   * @param asOfMs what was read from the bucket before this time will not do: a hint says that annotations changed then
   * @throws PipelineError CORPUS_OPTIONS_INVALID, MANIFEST_INVALID, STORAGE_UNAVAILABLE
   */
  async corpus(name: string, asOfMs = 0): Promise<Corpus> {
    const needed = Math.max(asOfMs, Date.now() - trustMs);
    const kept = this.kept.get(name);
    if (kept && kept.checkedAtMs >= needed) return kept.loaded.corpus;
    const underWay = this.checks.get(name);
    if (underWay && underWay.startedAtMs >= needed) return underWay.corpus;
    return this.check(name, kept?.loaded);
  }

  /** Callers that come while a check is under way share it, if it began late enough for them. */
  private check(name: string, known: Loaded | undefined): Promise<Corpus> {
    const startedAtMs = Date.now();
    const corpus = this.load(name, known).then((loaded) => {
      if ((this.kept.get(name)?.checkedAtMs ?? 0) < startedAtMs) this.kept.set(name, { loaded, checkedAtMs: startedAtMs });
      return loaded.corpus;
    });
    const check = { startedAtMs, corpus };
    this.checks.set(name, check);
    const forget = (): void => {
      if (this.checks.get(name) === check) this.checks.delete(name);
    };
    corpus.then(forget, forget);
    return corpus;
  }

  private async load(name: string, known: Loaded | undefined): Promise<Loaded> {
    const optionsEtag = (await this.store.head(corpusKey(name, optionsPath)))?.etag ?? null;
    const sameOptions = known?.optionsEtag === optionsEtag ? known.corpus : undefined;
    const options = sameOptions?.options ?? (await this.readOptions(name, optionsEtag !== null));
    const reader = sameOptions?.reader ?? readerNamed(options.reader ?? '') ?? (await this.chooseReader(name));
    const etags = await this.annotationEtags(name, reader);
    const annotationDigest = JSON.stringify([...etags]);
    if (known && sameOptions && known.annotationDigest === annotationDigest) return known;
    const files = new Map<string, Uint8Array>();
    for (const path of etags.keys()) files.set(path, (await this.store.get(corpusKey(name, path))).bytes);
    const annotations = readAnnotations(reader, files, options);
    annotations.rows?.know(this.recordingsOf(name));
    this.logger.info({ corpus: name, reader: reader.name, annotationFiles: files.size, remarks: annotations.remarks }, 'read a corpus');
    const corpus = { name, reader, options, silence: options.silence ?? reader.silence, annotations };
    return { corpus, optionsEtag, annotationDigest };
  }

  /** Of the annotation files that are there, in a stable order. Never lists a whole corpus. */
  private async annotationEtags(name: string, { annotationPaths, annotationFolders }: CorpusReader): Promise<Map<string, string>> {
    const etags = new Map<string, string>();
    for (const path of annotationPaths) {
      const head = await this.store.head(corpusKey(name, path));
      if (head) etags.set(path, head.etag);
    }
    for (const folder of annotationFolders?.folders ?? []) {
      const found: [string, string][] = [];
      for await (const { key, etag } of this.store.list(corpusKey(name, folder))) {
        const path = parseCorpusKey(key)?.path ?? '';
        if (annotationFolders?.files.test(path.slice(folder.length))) found.push([path, etag]);
      }
      for (const [path, etag] of found.sort(([a], [b]) => (a < b ? -1 : 1))) etags.set(path, etag);
    }
    return etags;
  }

  private async readOptions(name: string, exists: boolean): Promise<CorpusOptions> {
    const key = corpusKey(name, optionsPath);
    return exists ? parseCorpusOptions(key, (await this.store.get(key)).bytes) : {};
  }

  private async chooseReader(name: string): Promise<CorpusReader> {
    const key = readerChoiceKey(name);
    const before = (await this.store.findJson(key)) as { reader: string } | null;
    const chosenBefore = before && readerNamed(before.reader);
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
      throw new PipelineError(
        'CORPUS_OPTIONS_INVALID',
        `Corpus ${name} looks like ${recognised.map((each) => each.name).join(' and like ')}: say which it is in ${corpusKey(name, optionsPath)}, as {"reader": "${reader.name}"}, or put them into two corpora`,
      );
    }
    const wasFirst = await this.store.put(key, JSON.stringify({ reader: reader.name, chosenAt: new Date().toISOString() }), {
      onlyIf: 'absent',
    });
    return wasFirst === null ? this.chooseReader(name) : reader;
  }
}
