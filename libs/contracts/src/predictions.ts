/** Predictions of one checkpoint for one task. The fact is a claim check on an Arrow file with one row per utterance. */
import { z } from 'zod';
import { tasks } from './labels.js';
import { isKeyName, parsePredictionsKey } from './object-keys.js';
import { retained, dayMs, type Topic } from './topic.js';

const runIdSchema = z.string().refine(isKeyName, 'is not a name that a key may contain');
const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'is not a sha256 in 64 hexadecimal digits');

/** The champion's predictions on dev speakers, which a promotion compares with. The same trainer made them on the same view. */
const championPredictionsSchema = z.object({
  number: z.number().int().positive().describe('The object champions/<number>.json'),
  runId: runIdSchema,
  step: z.number().int().nonnegative(),
  objectKey: z.string().min(1),
  sha256: sha256Schema.describe('Digest of the Arrow file'),
  rows: z.number().int().nonnegative(),
});

/** The champion's file lies under the run and step of the challenger's checkpoint too. Each name ends with the file's digest. */
function isFileOf(checkpoint: { runId: string; step: number }, file: { objectKey: string; sha256: string }): boolean {
  const place = parsePredictionsKey(file.objectKey);
  if (place?.runId !== checkpoint.runId || place.step !== checkpoint.step) return false;
  return place.digest === null || file.sha256.startsWith(place.digest);
}

export const predictionsWrittenSchema = z
  .object({
    runId: runIdSchema,
    step: z.number().int().nonnegative(),
    task: z.enum(tasks),
    objectKey: z.string().min(1),
    sha256: sha256Schema.describe('Digest of the Arrow file'),
    rows: z.number().int().nonnegative(),
    classes: z.array(z.string()).min(1),
    viewDigest: z.string(),
    pickedBy: z
      .array(z.string().min(1))
      .optional()
      .describe(
        'Dev speakers that picked the best checkpoint in a round of the run. They neither score the model nor decide about it. Absent if none did, and in old records.',
      ),
    champion: championPredictionsSchema
      .nullish()
      .describe('Predictions of the champion on the same dev utterances. Absent if there was no champion, or if this model is it.'),
    writtenAt: z.iso.datetime(),
  })
  .refine((fact) => isFileOf(fact, fact), { path: ['objectKey'], message: 'is not the key of these predictions' })
  .refine((fact) => !fact.champion || isFileOf(fact, fact.champion), {
    path: ['champion', 'objectKey'],
    message: 'is not a key under the run and step of these predictions',
  })
  .meta({ title: 'PredictionsWritten', description: 'The trainer has stored the predictions of a checkpoint for a task' });
export type PredictionsWritten = z.infer<typeof predictionsWrittenSchema>;

export const predictions: Topic<PredictionsWritten, 'trainer'> = {
  noun: 'predictions',
  version: 1,
  description: 'True class and class probabilities of held-out utterances, as an Arrow file in the object store.',
  producers: ['trainer'],
  consumers: ['evaluator'],
  schema: predictionsWrittenSchema,
  keySchema: z.string().describe('<run id>/<step>/<task>'),
  keyOf: (fact) => `${fact.runId}/${fact.step}/${fact.task}`,
  storage: retained(1, 90 * dayMs),
};
