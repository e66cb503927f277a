/** `corpus.json`: the options of a corpus, which its owner writes. */
import { z } from 'zod';
import { emotionCategories, silenceProfiles } from '#contracts/labels.js';
import { normalWord, type OwnWords } from './emotion-labels.js';

const mostWords = 1_000;
const mostLetters = 200;

/** Words come as pairs, in a map: a word such as `constructor` is a word. */
const ownWordsSchema = z
  .preprocess(
    (labels) => (typeof labels === 'object' && labels !== null && !Array.isArray(labels) ? Object.entries(labels) : labels),
    z
      .array(z.tuple([z.string().max(mostLetters), z.enum(emotionCategories).nullable()]), {
        error: `must map words to one of ${emotionCategories.join(', ')}, or to null for no label`,
      })
      .max(mostWords),
  )
  .transform((pairs): OwnWords => new Map(pairs.map(([word, category]) => [normalWord(word), category])));

/** @param readers names of all readers */
export const corpusOptionsSchema = (readers: [string, ...string[]]) =>
  z.object({
    reader: z.enum(readers).optional(),
    silence: z.enum(silenceProfiles).optional(),
    description: z.string().optional(),
    /** Words for emotions in this corpus, beside the everyday ones. */
    labels: ownWordsSchema.optional(),
  });
export type CorpusOptions = z.infer<ReturnType<typeof corpusOptionsSchema>>;
