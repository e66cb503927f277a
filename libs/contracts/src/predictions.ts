/** Predictions of one checkpoint for one task: a claim check on an Arrow file, one row per utterance. */
import { z } from 'zod';
import { tasks } from './labels.js';
import { retained, dayMs, type Topic } from './topic.js';

/** Of the model in use, made by the same trainer on the same view, dev speakers only: what a promotion compares with. */
const championPredictionsSchema = z.object({
  number: z.number().int().positive().describe('The object champions/<number>.json'),
  runId: z.string().min(1),
  step: z.number().int().nonnegative(),
  objectKey: z.string().min(1),
  sha256: z.string().length(64).describe('Of the Arrow file'),
  rows: z.number().int().nonnegative(),
});

export const predictionsWrittenSchema = z
  .object({
    runId: z.string().min(1),
    step: z.number().int().nonnegative(),
    task: z.enum(tasks),
    objectKey: z.string().min(1),
    sha256: z.string().length(64).describe('Of the Arrow file'),
    rows: z.number().int().nonnegative(),
    classes: z.array(z.string()).min(1),
    viewDigest: z.string(),
    champion: championPredictionsSchema
      .nullish()
      .describe('Predictions of the champion on the same dev utterances; none where there was no champion, or it is this model'),
    writtenAt: z.iso.datetime(),
  })
  .meta({ title: 'PredictionsWritten', description: 'The predictions of a checkpoint for a task lie in the object store' });
export type PredictionsWritten = z.infer<typeof predictionsWrittenSchema>;

export const predictions: Topic<PredictionsWritten> = {
  noun: 'predictions',
  version: 1,
  description: 'Truth and class probabilities of held-out utterances, as an Arrow file in the object store.',
  producers: ['trainer'],
  consumers: ['evaluator'],
  schema: predictionsWrittenSchema,
  keySchema: z.string().describe('<run id>/<step>/<task>'),
  keyOf: (fact) => `${fact.runId}/${fact.step}/${fact.task}`,
  storage: retained(1, 90 * dayMs),
};
