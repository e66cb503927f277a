/** Jobs of experiments (paper, Section V) that any trainer may take: one fold of one system with one seed each. */
import { z } from 'zod';
import { isKeyName } from './object-keys.js';
import { compacted, type Topic } from './topic.js';

export const experimentJobPlannedSchema = z
  .object({
    experiment: z
      .string()
      .refine(isKeyName, 'is not a name that a key may contain')
      .describe('What it was published as: experiments/<experiment>/ in the object store'),
    jobId: z.string().refine(isKeyName, 'is not a name that a key may contain').describe('Digest of all that decides its numbers'),
    rowId: z.string().min(1),
    point: z.number().nullable().describe('Of the sweep; null without one'),
    fold: z.number().int().nonnegative(),
    seed: z.number().int().nonnegative(),
    plannedAt: z.iso.datetime(),
  })
  .meta({ title: 'ExperimentJobPlanned', description: 'A job of an experiment is to be done; a tombstone: it is done, or cannot be' });
export type ExperimentJobPlanned = z.infer<typeof experimentJobPlannedSchema>;

export const experimentJobs: Topic<ExperimentJobPlanned, 'cli' | 'trainer'> = {
  noun: 'experiment-jobs',
  version: 1,
  description:
    'Jobs that are not done yet. Every trainer with EXPERIMENT_WORKER=1 reads all of them; a lease in the object store says who does which.',
  producers: ['cli', 'trainer'],
  consumers: ['trainer'],
  schema: experimentJobPlannedSchema,
  keySchema: z.string().describe('<experiment>/<job id>'),
  keyOf: ({ experiment, jobId }) => `${experiment}/${jobId}`,
  storage: compacted(1),
};
