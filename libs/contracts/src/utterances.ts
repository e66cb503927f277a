/** The topic that decides which utterances are alive: the latest record of an utterance id, or its tombstone. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { labelsSchema, silenceProfiles, splits, type Labels } from './labels.js';
import { corpusKey, parseCorpusKey } from './object-keys.js';
import { compacted, type Topic } from './topic.js';

export const utteranceIngestedSchema = z
  .object({
    utteranceId: z.string().min(3).describe('<corpus>/<path inside the corpus>'),
    version: z.string().length(16).describe('Digest of ETag, size, labels, split and silence profile; compare it for equality only'),
    corpus: z.string().min(1),
    objectKey: z.string().describe('corpora/<utterance id>'),
    etag: z.string().min(1),
    sizeBytes: z.number().int().nonnegative(),
    labels: labelsSchema,
    split: z.enum(splits),
    withheld: z
      .boolean()
      .describe('True for an utterance of a training speaker that is kept out of training to score speaker identification'),
    silence: z.enum(silenceProfiles),
    ingestedAt: z.iso.datetime(),
  })
  .refine(
    ({ objectKey, utteranceId, corpus }) => {
      const place = parseCorpusKey(objectKey);
      return place?.corpus === corpus && corpusKey(corpus, place.path) === objectKey && `${corpus}/${place.path}` === utteranceId;
    },
    { path: ['objectKey'], message: 'is not the key that the utterance id and the corpus give' },
  )
  .meta({ title: 'UtteranceIngested', description: 'An utterance is alive in this version. Gives the key of its audio.' });
export type UtteranceIngested = z.infer<typeof utteranceIngestedSchema>;

/** @returns 16 hex digits that change with the bytes, the labels, the split, the withholding or the silence profile */
export function utteranceVersion(
  parts: Pick<UtteranceIngested, 'etag' | 'sizeBytes' | 'labels' | 'split' | 'withheld' | 'silence'>,
): string {
  const { speakerId, gender, category, activation, valence, session, levelEdges }: Labels = parts.labels;
  const fields = [
    parts.etag,
    parts.sizeBytes,
    speakerId,
    gender,
    category,
    activation,
    valence,
    session,
    parts.split,
    parts.withheld,
    parts.silence,
    // The edges come last and only if there are any, so that records without edges keep their versions.
    ...(levelEdges ? [levelEdges] : []),
  ];
  return createHash('sha256')
    .update(JSON.stringify(fields.map((field) => field ?? null)))
    .digest('hex')
    .slice(0, 16);
}

export const utterances: Topic<UtteranceIngested, 'ingest'> = {
  noun: 'utterances',
  version: 1,
  description:
    'The utterances that are alive. The latest record of an utterance is its current version. An utterance without a record, or with a tombstone, is dead.',
  producers: ['ingest'],
  consumers: ['ingest', 'features', 'trainer', 'evaluator', 'predictor', 'cli'],
  schema: utteranceIngestedSchema,
  keySchema: z.string().min(3).describe('Utterance id'),
  keyOf: (utterance) => utterance.utteranceId,
  storage: compacted(4),
};
