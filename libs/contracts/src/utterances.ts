/** The one topic that decides what is alive: the latest record of an utterance id, or its tombstone. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { labelsSchema, silenceProfiles, splits, type Labels } from './labels.js';
import { corpusKey, parseCorpusKey } from './object-keys.js';
import { compacted, type Topic } from './topic.js';

export const utteranceIngestedSchema = z
  .object({
    utteranceId: z.string().min(3).describe('<corpus>/<path inside the corpus>'),
    version: z.string().length(16).describe('Digest of ETag, size, labels, split and silence profile; compared for equality only'),
    corpus: z.string().min(1),
    objectKey: z.string().describe('corpora/<utterance id>'),
    etag: z.string().min(1),
    sizeBytes: z.number().int().nonnegative(),
    labels: labelsSchema,
    split: z.enum(splits),
    withheld: z.boolean().describe('Of a training speaker, and kept out of training so that speaker identification can be scored'),
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
  .meta({ title: 'UtteranceIngested', description: 'An utterance is alive in this version, and where its audio lies' });
export type UtteranceIngested = z.infer<typeof utteranceIngestedSchema>;

/** @returns 16 hex digits that change when the bytes, the labels or what is done with them change */
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
    // Last, and only where there are any: versions of records without edges stay as they were.
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
  description: 'What is alive. The latest record of an utterance is its current version; no record, or a tombstone, means dead.',
  producers: ['ingest'],
  consumers: ['ingest', 'features', 'trainer', 'evaluator', 'cli'],
  schema: utteranceIngestedSchema,
  keySchema: z.string().min(3).describe('Utterance id'),
  keyOf: (utterance) => utterance.utteranceId,
  storage: compacted(4),
};
