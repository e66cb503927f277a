/**
 * Warns people of annotations that have no effect or may be wrong: rows that match no recording, and guessed encodings. A warning
 * goes to the log when it changes, to a metric, and into the bucket, where `status` reads it.
 *
 * Delivery: each listing overwrites the object in the bucket with the same content, and deletes it when there is nothing to warn
 * of. The first listing after a crash writes lost warnings again.
 */
import { type CorpusWarnings, corpusWarningsKey, corpusWarningsPrefix, parseCorpusWarningsKey } from '#contracts/corpus-warnings.js';
import { rowWarnings } from '#corpora/read-annotations.js';
import { leftOutWarnings } from '#corpora/takes.js';
import type { Logger } from '#service/logger.js';
import { deleteOwn } from '#storage/delete-own.js';
import type { Objects } from '#storage/object-store.js';
import type { Corpus } from './corpus-catalogue.js';

export class WarningPublisher {
  /** The warnings in the bucket, by corpus; null if another process wrote them. */
  private published: Map<string, string | null> | undefined;
  private unmatched = 0;

  constructor(
    private readonly store: Pick<Objects, 'put' | 'delete' | 'list'>,
    private readonly logger: Pick<Logger, 'warn'>,
  ) {}

  /** Number of rows in all corpora that match no recording, as of the last listing. */
  get unmatchedRows(): number {
    return this.unmatched;
  }

  /**
   * @param corpora all corpora that a listing has seen and could read; their annotations know every recording
   * @param leftOut recordings that are no utterances, with the reason, by corpus
   */
  async publish(
    corpora: Iterable<Corpus>,
    leftOut: ReadonlyMap<string, readonly (readonly [path: string, because: string])[]> = new Map(),
  ): Promise<void> {
    const published = (this.published ??= await this.publishedBefore());
    const gone = new Set(published.keys());
    this.unmatched = 0;
    for (const { name, annotations } of corpora) {
      this.unmatched += annotations.rows?.matched().unmatched.length ?? 0;
      const warnings = [...annotations.warnings, ...rowWarnings(annotations), ...leftOutWarnings(leftOut.get(name) ?? [])];
      if (warnings.length === 0) continue;
      gone.delete(name);
      const state = JSON.stringify(warnings);
      if (published.get(name) === state) continue;
      this.logger.warn({ corpus: name, warnings }, 'annotations of a corpus have warnings');
      const body: CorpusWarnings = { corpus: name, warnings, since: new Date().toISOString() };
      await this.store.put(corpusWarningsKey(name), JSON.stringify(body));
      published.set(name, state);
    }
    for (const name of gone) {
      await deleteOwn(this.store, corpusWarningsKey(name), 'corpusWarnings');
      published.delete(name);
    }
  }

  private async publishedBefore(): Promise<Map<string, string | null>> {
    const names = new Map<string, string | null>();
    for await (const { key } of this.store.list(corpusWarningsPrefix)) {
      const name = parseCorpusWarningsKey(key);
      if (name !== null) names.set(name, null);
    }
    return names;
  }
}
