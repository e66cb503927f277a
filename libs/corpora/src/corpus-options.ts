/** `corpus.json`: the options of a corpus, which its owner writes. */
import { z } from 'zod';
import { emotionCategories, mostCategoryLetters, silenceProfiles, splits, type Split } from '#contracts/labels.js';
import { parseOutsideJson, usualMaxDepth } from '#contracts/outside-json.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { readerNames } from './corpus-readers.js';
import { normalWord, type OwnWords, ownWordsOf } from './emotion-labels.js';

const mostWords = 1_000;
const mostLetters = 200;
const mostSpeakers = 10_000;
const mostClasses = 32;

/** The words arrive as pairs and go into a map, so that a word such as `constructor` is a word like others. */
const ownWordsSchema = z
  .preprocess(
    (labels) => (typeof labels === 'object' && labels !== null && !Array.isArray(labels) ? Object.entries(labels) : null),
    z
      .array(z.tuple([z.string().max(mostLetters), z.string().nullable()]), {
        error: 'must map words to classes, or to null for no label',
      })
      .max(mostWords),
  )
  .transform(
    (pairs): OwnWords => new Map(pairs.map(([word, category]) => [normalWord(word), category === null ? null : normalWord(category)])),
  );

/** The names of the network's outputs, in the form in which words are compared. */
const classesSchema = z
  .array(z.string().max(mostCategoryLetters).transform(normalWord).pipe(z.string().min(1)))
  .min(2)
  .max(mostClasses)
  .refine((classes) => new Set(classes).size === classes.length, 'names a class twice');

const speakerNames = z.array(z.string().min(1).max(mostLetters)).max(mostSpeakers);

/** Speakers by split become splits by speaker. */
const namedSplitsSchema = z
  .strictObject({ train: speakerNames.optional(), dev: speakerNames.optional(), test: speakerNames.optional() })
  .transform((bySplit, context): ReadonlyMap<string, Split> => {
    const splitOf = new Map<string, Split>();
    for (const split of splits) {
      for (const speaker of bySplit[split] ?? []) {
        const other = splitOf.get(speaker) ?? split;
        if (other !== split) context.addIssue(`speaker ${JSON.stringify(speaker)} is in ${other} and in ${split}. Name each speaker once`);
        splitOf.set(speaker, split);
      }
    }
    return splitOf;
  });

const optionsSchema = z
  .object({
    reader: z.enum(readerNames).optional(),
    silence: z.enum(silenceProfiles).optional(),
    description: z.string().optional(),
    /** The corpus's words for emotions, in addition to the everyday words. */
    labels: ownWordsSchema.optional(),
    /** The corpus's own classes of emotion, in place of the paper's four. */
    classes: classesSchema.optional(),
    /** Splits of speakers that the owner names, by the corpus's own speaker ids: `{"dev": ["03", "11"], "test": ["07"]}`. */
    splits: namedSplitsSchema.optional(),
  })
  .transform((options, context) => {
    const { classes, labels } = options;
    const known = classes ?? emotionCategories;
    for (const [word, chosen] of labels ?? []) {
      if (chosen === null || known.some((each) => each === chosen)) continue;
      const path = ['labels', word];
      context.addIssue({
        code: 'custom',
        path,
        message: `${JSON.stringify(chosen)} is not one of the classes ${known.join(', ')}. Name one of these, or null for no label`,
      });
    }
    return { ...options, ...(classes && { labels: ownWordsOf(classes, labels) }) };
  });
export type CorpusOptions = z.infer<typeof optionsSchema>;

export const maxOptionsBytes = 1_000_000;

/** @param name name of the file, for messages @throws PipelineError CORPUS_OPTIONS_INVALID */
export function parseCorpusOptions(name: string, bytes: Uint8Array): CorpusOptions {
  const json = parseOutsideJson(bytes, { maxBytes: maxOptionsBytes, maxDepth: usualMaxDepth, code: 'CORPUS_OPTIONS_INVALID', noun: name });
  const parsed = optionsSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const reasons = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new PipelineError('CORPUS_OPTIONS_INVALID', `${name}: ${reasons.join('; ')}`, { cause: parsed.error });
}
