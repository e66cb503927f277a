/**
 * The champion of each emotion target, and the reason why a challenger did not replace it (paper, Section V: UA on speakers
 * that the model has not heard). The decision never uses test speakers.
 *
 * Each target has two keys, so that compaction keeps both the latest promotion and the latest rejection. With one key, the
 * first rejection would hide the champion. The objects `champions/<n>.json` decide; this topic reports them.
 */
import { z } from 'zod';
import { emotionTargets } from './labels.js';
import { isKeyName } from './object-keys.js';
import { compacted, type Topic } from './topic.js';

const share = z.number().min(0).max(1);
const difference = z.number().min(-1).max(1);
const scores = z.object({
  ua: share.describe('Unweighted accuracy on the dev utterances that were compared'),
  recall: z.record(z.string(), share.nullable()).describe('Recall of each class; null where the class does not occur'),
});

/** Compares challenger and champion on the same dev utterances, by bootstrap over speakers. */
export const modelComparisonSchema = z.object({
  challenger: scores,
  champion: scores.nullable().describe('Null if there was no champion; the comparison is then with chance'),
  chance: share.describe('UA of guessing'),
  difference: difference.describe('UA of the challenger less that of the champion, or less chance'),
  interval: z.tuple([difference, difference]).describe('95 % interval of the difference'),
  probability: share.describe('Probability that the challenger is better: the share of draws that it wins, a tie counted as half'),
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
  comparison: modelComparisonSchema.nullable().describe('Null if no comparison was made'),
  why: z.string().min(1).describe('Reason in words'),
  at: z.iso.datetime(),
};

export const modelPromotedSchema = z
  .object({
    type: z.literal('ModelPromoted'),
    ...base,
    number: z.number().int().positive().describe('The object champions/<number>.json that records the promotion'),
    champion: numberedModel.nullable().describe('The champion that it replaced'),
    by: z.enum(['evaluator', 'person']),
    restores: z.number().int().positive().optional().describe('Number of the earlier champion, if this promotion restores its model'),
  })
  .meta({ title: 'ModelPromoted', description: 'A model became the champion of its target' });
export type ModelPromoted = z.infer<typeof modelPromotedSchema>;

export const rejectionReasons = ['too-few-speakers', 'not-above-chance', 'not-better', 'recall-fell', 'stale'] as const;

export const modelRejectedSchema = z
  .object({
    type: z.literal('ModelRejected'),
    ...base,
    champion: numberedModel.nullable().describe('The champion that stays'),
    reason: z.enum(rejectionReasons),
    devSpeakers: z.number().int().nonnegative(),
    confidence: share.describe('The probability that the settings require'),
    maxRecallFallPoints: z.number().nonnegative(),
  })
  .meta({ title: 'ModelRejected', description: 'The evaluator compared a model and did not make it the champion' });
export type ModelRejected = z.infer<typeof modelRejectedSchema>;

const promotionSchema = z.discriminatedUnion('type', [modelPromotedSchema, modelRejectedSchema]);
export type PromotionFact = z.infer<typeof promotionSchema>;

export const promotions: Topic<PromotionFact, 'evaluator' | 'cli'> = {
  noun: 'promotions',
  version: 1,
  description: 'The champion of each emotion target, and the latest rejected challenger with the reason.',
  producers: ['evaluator', 'cli'],
  consumers: ['evaluator', 'predictor', 'cli'],
  schema: promotionSchema,
  keySchema: z.string().describe('<target>/champion or <target>/rejected'),
  keyOf: (fact) => `${fact.target}/${fact.type === 'ModelPromoted' ? 'champion' : 'rejected'}`,
  storage: compacted(1),
};
