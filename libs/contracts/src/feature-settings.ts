/**
 * Under which feature settings each corpus is made into tiles: what an operator asks for (an object in the bucket for each
 * corpus that differs from the service's own settings), and what features goes by (one fact, always the whole map, so that
 * no reader ever sees half of a change).
 *
 * Delivery: features says it at each start and at each change; said again, it changes nothing. Where several instances
 * say different maps, the one that read the bucket last is the last to say it.
 */
import { z } from 'zod';
import { compacted, type Topic } from './topic.js';

/** What a corpus may have otherwise than the service's settings. What is not said is as there. */
export const featureOverridesSchema = z
  .strictObject({
    rows: z.number().int().positive(),
    width: z.number().int().positive(),
    layout: z.enum(['tiles', 'centre']),
    minSpeechShare: z.number().min(0).max(1),
    scale: z.enum(['linear', 'mel']),
    reference: z.enum(['utterance', 'full-scale']),
    bandLimitHz: z.number().positive().nullable(),
    silenceMethod: z.enum(['energy', 'top-db', 'webrtc', 'silero']),
    silenceTopDb: z.number().positive(),
    maxDurationSec: z.number().positive(),
  })
  .partial();
export type FeatureOverrides = z.infer<typeof featureOverridesSchema>;
export const featureOverrideNames = featureOverridesSchema.keyof().options;

const chosen = z.object({
  settingsHash: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .describe('Digest of the feature settings'),
  tile: z.tuple([z.number().int().positive(), z.number().int().positive()]).describe('Rows and frames of a tile'),
});
export type ChosenSettings = z.infer<typeof chosen>;

export const featureSettingsChosenSchema = z
  .object({
    default: chosen.describe('Of every corpus that is not named'),
    corpora: z.record(z.string(), chosen).describe('Of the corpora that have settings of their own'),
    chosenAt: z.iso.datetime(),
  })
  .meta({ title: 'FeatureSettingsChosen', description: 'The feature settings that each corpus is made into tiles under, from now on' });
export type FeatureSettingsChosen = z.infer<typeof featureSettingsChosenSchema>;

export const featureSettingsOf = (map: Pick<FeatureSettingsChosen, 'default' | 'corpora'>, corpus: string): ChosenSettings =>
  (Object.hasOwn(map.corpora, corpus) ? map.corpora[corpus] : undefined) ?? map.default;

export const featureSettingsChosen: Topic<FeatureSettingsChosen, 'features'> = {
  noun: 'feature-settings',
  version: 1,
  description: 'Which settings hash counts for each corpus. One key: the latest record is the whole map.',
  producers: ['features'],
  consumers: ['trainer', 'evaluator', 'cli'],
  schema: featureSettingsChosenSchema,
  keySchema: z.literal('features').describe('Always the same'),
  keyOf: () => 'features',
  storage: compacted(1),
};
