/**
 * Which model is the champion of an emotion target, and why a challenger was not made it (paper, Section V: UA on speakers
 * that were not heard). Test speakers take no part in it.
 *
 * Two keys for a target, so that compaction keeps both the latest promotion and the latest rejection: under one key, the
 * first rejected challenger would hide the champion. The objects `champions/<n>.json` decide; this topic tells of them.
 */
import { z } from 'zod';
import { emotionTargets } from './labels.js';
import { isKeyName } from './object-keys.js';
import { compacted, type Topic } from './topic.js';

const share = z.number().min(0).max(1);
const difference = z.number().min(-1).max(1);
const scores = z.object({
  ua: share.describe('Unweighted accuracy on the dev utterances that were compared'),
  recall: z.record(z.string(), share.nullable()).describe('By class; null where the class does not occur'),
});

/** Challenger and champion on the same dev utterances, by bootstrap over speakers. */
export const modelComparisonSchema = z.object({
  challenger: scores,
  champion: scores.nullable().describe('Null where there was no champion: then chance is what is compared with'),
  chance: share.describe('UA of guessing'),
  difference: difference.describe('UA of the challenger less that of the champion, or less chance'),
  interval: z.tuple([difference, difference]).describe('95 % interval of the difference'),
  probability: share.describe('That the challenger is better: the share of draws, a tie counted as half of one'),
  largestFall: z
    .object({ class: z.string(), points: z.number().min(0).max(100) })
    .nullable()
    .describe('The class whose recall fell most, in percentage points; null where none fell'),
  utterances: z.number().int().positive(),
  speakers: z.number().int().positive(),
});
export type ModelComparison = z.infer<typeof modelComparisonSchema>;

const model = z.object({
  runId: z.string().refine(isKeyName, 'is not a name that a key may contain'),
  step: z.number().int().nonnegative(),
});
const numberedModel = model.extend({ number: z.number().int().positive().describe('The object champions/<number>.json') });
const base = {
  target: z.enum(emotionTargets),
  challenger: model,
  comparison: modelComparisonSchema.nullable().describe('Null where nothing was compared'),
  why: z.string().min(1).describe('In words'),
  at: z.iso.datetime(),
};

export const modelPromotedSchema = z
  .object({
    type: z.literal('ModelPromoted'),
    ...base,
    number: z.number().int().positive().describe('The object champions/<number>.json that says so'),
    champion: numberedModel.nullable().describe('Whose place it took'),
    by: z.enum(['evaluator', 'person']),
    restores: z.number().int().positive().optional().describe('The number of the earlier champion whose model it is'),
  })
  .meta({ title: 'ModelPromoted', description: 'A model became the champion of its target' });
export type ModelPromoted = z.infer<typeof modelPromotedSchema>;

export const rejectionReasons = ['too-few-speakers', 'not-above-chance', 'not-better', 'recall-fell', 'stale'] as const;

export const modelRejectedSchema = z
  .object({
    type: z.literal('ModelRejected'),
    ...base,
    champion: numberedModel.nullable().describe('The one that stays'),
    reason: z.enum(rejectionReasons),
    devSpeakers: z.number().int().nonnegative(),
    confidence: share.describe('The probability that was asked for'),
    maxRecallFallPoints: z.number().nonnegative(),
  })
  .meta({ title: 'ModelRejected', description: 'A model was looked at and did not become the champion' });
export type ModelRejected = z.infer<typeof modelRejectedSchema>;

const promotionSchema = z.discriminatedUnion('type', [modelPromotedSchema, modelRejectedSchema]);
export type PromotionFact = z.infer<typeof promotionSchema>;

export const promotions: Topic<PromotionFact, 'evaluator' | 'cli'> = {
  noun: 'promotions',
  version: 1,
  description: 'The champion of each emotion target, and the latest challenger that was rejected, with why.',
  producers: ['evaluator', 'cli'],
  consumers: ['evaluator', 'cli'],
  schema: promotionSchema,
  keySchema: z.string().describe('<target>/champion or <target>/rejected'),
  keyOf: (fact) => `${fact.target}/${fact.type === 'ModelPromoted' ? 'champion' : 'rejected'}`,
  storage: compacted(1),
};
