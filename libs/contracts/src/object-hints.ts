/** A hint says "look at this object" and claims nothing about it. Ingest asks the store before it acts on a hint. */
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
      .describe('Publish the utterance again even if its version is unchanged, so that the stages after ingest try again'),
    letGoVersion: z
      .string()
      .optional()
      .describe('A stage skipped this version because the object had changed. If ingest finds this version again, it publishes it again.'),
    state: z
      .string()
      .optional()
      .describe('State of object and annotations that a listing saw. Once this state has a dead letter, later listings do not hint at it.'),
    hintedAt: z.iso.datetime(),
  })
  .meta({ title: 'ObjectHint', description: 'Ingest should look at this object: it may be new, changed or gone' });
export type ObjectHint = z.infer<typeof objectHintSchema>;

export const objectHints: Topic<ObjectHint, 'ingest' | 'features' | 'trainer' | 'cli'> = {
  noun: 'object-hints',
  version: 1,
  description:
    'Objects that ingest should look at, from events, listings, the webhook and replays. The key is the object, so that one instance decides about one object.',
  producers: ['ingest', 'features', 'trainer', 'cli'],
  consumers: ['ingest'],
  schema: objectHintSchema,
  keySchema: z.string().min(1).describe('Object key'),
  keyOf: (hint) => hint.key,
  storage: retained(4, 7 * dayMs),
};

/** A hint with the current time. @param again publish the utterance again even if its version is unchanged */
export function hintAt(key: string, reason: (typeof hintReasons)[number], again = false): ObjectHint {
  return { key, reason, again, hintedAt: new Date().toISOString() };
}
