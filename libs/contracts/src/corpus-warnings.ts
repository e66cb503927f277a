/** Warnings about a corpus's annotations, as ingest leaves them in the bucket for `status`. An object for each corpus that has any. */
import { z } from 'zod';

export const corpusWarningsSchema = z
  .object({
    corpus: z.string().min(1),
    /** Sentences, with words of the corpus in them. */
    warnings: z.array(z.string()).min(1),
    /** When a listing of the bucket last found other warnings than before. */
    since: z.iso.datetime(),
  })
  .meta({ title: 'CorpusWarnings', description: 'What is odd about the annotations of a corpus, as of the last listing' });
export type CorpusWarnings = z.infer<typeof corpusWarningsSchema>;

export const corpusWarningsPrefix = 'state/corpus-warnings/';
export const corpusWarningsKey = (corpus: string): string => `${corpusWarningsPrefix}${corpus}.json`;
/** The corpus, or null for any other key. */
export function parseCorpusWarningsKey(key: string): string | null {
  return /^state\/corpus-warnings\/([^/]+)\.json$/.exec(key)?.[1] ?? null;
}
