/** The newest checkpoint of each training run. */
import { z } from 'zod';
import { tasks } from './labels.js';
import { isKeyName, manifestKey } from './object-keys.js';
import { compacted, type Topic } from './topic.js';

export const checkpointSavedSchema = z
  .object({
    runId: z.string().refine(isKeyName, 'is not a name that a key may contain'),
    round: z.number().int().positive(),
    step: z.number().int().nonnegative(),
    manifestKey: z.string(),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .describe('Digest of the weights file'),
    viewDigest: z.string().describe('Digest of the utterance versions that the round trained on'),
    viewUtterances: z.number().int().nonnegative(),
    viewTiles: z.object({ labelled: z.number().int(), unlabelled: z.number().int() }),
    newestUtteranceAt: z.iso
      .datetime()
      .optional()
      .describe('Ingestion time of the newest utterance that the round could learn from. The model knows nothing later.'),
    predictedTasks: z.array(z.enum(tasks)).describe('Tasks for which the trainer announces predictions of this checkpoint'),
    backend: z.string(),
    configHash: z.string(),
    codeVersion: z.string(),
    savedAt: z.iso.datetime(),
  })
  .refine((fact) => fact.manifestKey === manifestKey(fact.runId, fact.step), {
    path: ['manifestKey'],
    message: 'is not the key that the run and the step give',
  })
  .meta({ title: 'CheckpointSaved', description: 'The trainer has stored a whole checkpoint. Names the view that it was trained on.' });
export type CheckpointSaved = z.infer<typeof checkpointSavedSchema>;

export const checkpoints: Topic<CheckpointSaved, 'trainer'> = {
  noun: 'checkpoints',
  version: 1,
  description: 'The newest checkpoint of each run, with the view that it was trained on.',
  producers: ['trainer'],
  consumers: ['evaluator', 'predictor', 'cli'],
  schema: checkpointSavedSchema,
  keySchema: z.string().min(1).describe('Run id'),
  keyOf: (fact) => fact.runId,
  storage: compacted(1),
};
