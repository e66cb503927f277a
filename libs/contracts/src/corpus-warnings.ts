/** Warnings about a corpus's annotations. Ingest writes one object to the bucket for each corpus with warnings; `status` reads it. */
import { z } from 'zod';

export const corpusWarningsSchema = z
  .object({
    corpus: z.string().min(1),
    /** Sentences. They may quote words of the corpus. */
    warnings: z.array(z.string()).min(1),
    /** When a listing of the bucket last found warnings that differed from those before. */
    since: z.iso.datetime(),
  })
  .meta({ title: 'CorpusWarnings', description: 'Problems that the last listing found in the annotations of a corpus' });
export type CorpusWarnings = z.infer<typeof corpusWarningsSchema>;

export const corpusWarningsPrefix = 'state/corpus-warnings/';
export const corpusWarningsKey = (corpus: string): string => `${corpusWarningsPrefix}${corpus}.json`;
/** @returns the corpus, or null for any other key */
export function parseCorpusWarningsKey(key: string): string | null {
  return /^state\/corpus-warnings\/([^/]+)\.json$/.exec(key)?.[1] ?? null;
}
