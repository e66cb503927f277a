/** "Look at this object": a hint, never a fact about it. Ingest asks the store before it believes one. */
import { z } from 'zod';
import { retained, dayMs, type Topic } from './topic.js';

export const hintReasons = ['event', 'listing', 'annotations', 'replay', 'changed-underfoot', 'archive'] as const;

export const objectHintSchema = z
  .object({
    key: z.string().min(1).describe('Object key, decoded, as the store knows it'),
    reason: z.enum(hintReasons),
    again: z
      .boolean()
      .default(false)
      .describe('Publish the utterance again though its version is unchanged: the stages after ingest get another try'),
    letGoVersion: z
      .string()
      .optional()
      .describe('The version that a stage let go of, since the object was another just then: if it is that again, publish it again'),
    state: z
      .string()
      .optional()
      .describe('State of object and annotations that a listing saw. With a dead letter for it, later listings do not hint at it again.'),
    hintedAt: z.iso.datetime(),
  })
  .meta({ title: 'ObjectHint', description: 'Look at this object: it may have come, changed or gone' });
export type ObjectHint = z.infer<typeof objectHintSchema>;

export const objectHints: Topic<ObjectHint, 'ingest' | 'features' | 'trainer' | 'cli'> = {
  noun: 'object-hints',
  version: 1,
  description:
    'Objects that ingest should look at, from events, listings, the webhook and replays. Keyed by object, so that one partition owner decides about one object.',
  producers: ['ingest', 'features', 'trainer', 'cli'],
  consumers: ['ingest'],
  schema: objectHintSchema,
  keySchema: z.string().min(1).describe('Object key'),
  keyOf: (hint) => hint.key,
  storage: retained(4, 7 * dayMs),
};

/** A hint, now. @param again publish the utterance once more though its version is unchanged */
export function hintAt(key: string, reason: (typeof hintReasons)[number], again = false): ObjectHint {
  return { key, reason, again, hintedAt: new Date().toISOString() };
}
