/**
 * The feature settings under which features turns each corpus into tiles. An operator asks for settings with an object in
 * the bucket, one for each corpus that differs from the service's own settings. Features announces the settings in use
 * with one fact. The fact is always the whole map, so that no reader ever sees half of a change.
 *
 * Delivery: features announces the map at each start and at each change. A repeated announcement changes nothing. If
 * several instances announce different maps, the instance that read the bucket last announces last.
 */
import { z } from 'zod';
import { tileSchema } from './tile-size.js';
import { compacted, type Topic } from './topic.js';

/** Settings in which a corpus may differ from the service's settings. An absent field keeps the service's value. */
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
  tile: tileSchema.describe('Rows and frames of a tile'),
});
export type ChosenSettings = z.infer<typeof chosen>;

export const featureSettingsChosenSchema = z
  .object({
    default: chosen.describe('Settings of every corpus that `corpora` does not name'),
    corpora: z.record(z.string(), chosen).describe('Settings of the corpora that differ from the default'),
    chosenAt: z.iso.datetime(),
  })
  .meta({ title: 'FeatureSettingsChosen', description: 'The feature settings that features uses for each corpus from now on' });
export type FeatureSettingsChosen = z.infer<typeof featureSettingsChosenSchema>;

export const featureSettingsOf = (map: Pick<FeatureSettingsChosen, 'default' | 'corpora'>, corpus: string): ChosenSettings =>
  (Object.hasOwn(map.corpora, corpus) ? map.corpora[corpus] : undefined) ?? map.default;

export const featureSettingsChosen: Topic<FeatureSettingsChosen, 'features'> = {
  noun: 'feature-settings',
  version: 1,
  description: 'The settings hash in use for each corpus. All records have one key: the latest record is the whole map.',
  producers: ['features'],
  consumers: ['trainer', 'evaluator', 'cli'],
  schema: featureSettingsChosenSchema,
  keySchema: z.literal('features').describe('All records have this key'),
  keyOf: () => 'features',
  storage: compacted(1),
};
