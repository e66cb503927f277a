/**
 * What is known of each corpus: its reader, its options and its annotations, read from the bucket and kept while they
 * are unchanged. `corpus.json` names the reader; without it the one that recognises the corpus is chosen once, by a
 * conditional put, so that two instances never read one corpus in two ways.
 */
import { z } from 'zod';
import { silenceProfiles, type SilenceProfile } from '#contracts/labels.js';
import { corpusKey, parseCorpusKey, readerChoiceKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { CorpusAnnotations, CorpusReader } from '#corpora/corpus-reader.js';
import { corpusReaders, readerNamed, readerNames, recogniseReader } from '#corpora/corpus-readers.js';
import type { Logger } from '#service/logger.js';
import type { ObjectStore } from '#storage/object-store.js';

const optionsSchema = z.object({
  reader: z.enum(readerNames).optional(),
  silence: z.enum(silenceProfiles).optional(),
  description: z.string().optional(),
});

export interface Corpus {
  name: string;
  reader: CorpusReader;
  silence: SilenceProfile;
  annotations: CorpusAnnotations;
  /** Changes when any annotation file, or the options, change. */
  annotationDigest: string;
}

interface Kept {
  corpus: Corpus;
  checkedAtMs: number;
}

/** An annotation file that changes sends hints of its own; between them a corpus is trusted this long. */
const trustMs = 2_000;
/** How many objects of an unknown corpus are looked at before a reader is chosen. */
const recognitionSample = 200;
const optionsFile = 'corpus.json';

/** Whether a path holds annotations for any reader, or a corpus's options. */
export function isAnnotationPath(path: string): boolean {
  return path === optionsFile || corpusReaders.some((reader) => reader.annotationPaths.includes(path));
}

export class CorpusCatalogue {
  private readonly kept = new Map<string, Kept>();
  private readonly loading = new Map<string, Promise<Corpus>>();

  constructor(
    private readonly store: ObjectStore,
    private readonly logger: Logger,
  ) {}

  /**
   * @param notOlderThan what is kept from before this time is checked against the bucket again
   * @throws PipelineError CORPUS_OPTIONS_INVALID, MANIFEST_INVALID, STORAGE_UNAVAILABLE
   */
  async corpus(name: string, notOlderThan: Date): Promise<Corpus> {
    const kept = this.kept.get(name);
    const now = Date.now();
    if (kept && (kept.checkedAtMs > notOlderThan.getTime() || now - kept.checkedAtMs < trustMs)) return kept.corpus;
    // One load at a time for a corpus, begun after the call: callers that share it see what was there when they asked.
    const loading = this.loading.get(name) ?? this.load(name, kept?.corpus).finally(() => this.loading.delete(name));
    this.loading.set(name, loading);
    const corpus = await loading;
    this.kept.set(name, { corpus, checkedAtMs: now });
    return corpus;
  }

  private async load(name: string, known: Corpus | undefined): Promise<Corpus> {
    const heads = new Map<string, string>();
    const reader = known?.reader;
    for (const path of [
      optionsFile,
      ...(reader ?? { annotationPaths: corpusReaders.flatMap((each) => each.annotationPaths) }).annotationPaths,
    ]) {
      const head = await this.store.head(corpusKey(name, path));
      if (head) heads.set(path, head.etag);
    }
    const annotationDigest = JSON.stringify([...heads]);
    if (known && known.annotationDigest === annotationDigest) return known;
    const options = await this.readOptions(name, heads.has(optionsFile));
    const chosen = readerNamed(options.reader ?? '') ?? (await this.chooseReader(name));
    const files = new Map<string, string>();
    for (const path of chosen.annotationPaths.filter((candidate) => heads.has(candidate))) {
      files.set(path, new TextDecoder().decode((await this.store.get(corpusKey(name, path))).bytes));
    }
    const annotations = chosen.read(files);
    this.logger.info(
      { corpus: name, reader: chosen.name, annotationFiles: [...files.keys()], remarks: annotations.remarks },
      'read a corpus',
    );
    return { name, reader: chosen, silence: options.silence ?? chosen.silence, annotations, annotationDigest };
  }

  private async readOptions(name: string, exists: boolean): Promise<z.infer<typeof optionsSchema>> {
    if (!exists) return {};
    const key = corpusKey(name, optionsFile);
    const { bytes } = await this.store.get(key);
    try {
      return optionsSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
    } catch (error) {
      const reason =
        error instanceof z.ZodError
          ? error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
          : (error as Error).message;
      throw new PipelineError('CORPUS_OPTIONS_INVALID', `${key}: ${reason}`, { cause: error });
    }
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
    const reader = recogniseReader(paths.sort((a, b) => a.split('/').length - b.split('/').length));
    const wasFirst = await this.store.put(key, JSON.stringify({ reader: reader.name, chosenAt: new Date().toISOString() }), {
      onlyIf: 'absent',
    });
    return wasFirst === null ? this.chooseReader(name) : reader;
  }
}
