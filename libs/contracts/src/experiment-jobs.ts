/** Jobs of experiments (paper, Section V). Any trainer may take one. A job is one fold of one system with one seed. */
import { z } from 'zod';
import { isKeyName } from './object-keys.js';
import { compacted, type Topic } from './topic.js';

export const experimentJobPlannedSchema = z
  .object({
    experiment: z
      .string()
      .refine(isKeyName, 'is not a name that a key may contain')
      .describe('Name of the published experiment: experiments/<experiment>/ in the object store'),
    jobId: z
      .string()
      .refine(isKeyName, 'is not a name that a key may contain')
      .describe('Digest of everything that decides the results of the job'),
    rowId: z.string().min(1),
    point: z.number().nullable().describe('Point of the sweep; null if the row has no sweep'),
    fold: z.number().int().nonnegative(),
    seed: z.number().int().nonnegative(),
    plannedAt: z.iso.datetime(),
  })
  .meta({
    title: 'ExperimentJobPlanned',
    description: 'A job of an experiment is waiting for a trainer. A tombstone means that the job is done or cannot be done.',
  });
export type ExperimentJobPlanned = z.infer<typeof experimentJobPlannedSchema>;

export const experimentJobs: Topic<ExperimentJobPlanned, 'cli' | 'trainer'> = {
  noun: 'experiment-jobs',
  version: 1,
  description:
    'Jobs that are not done yet. Every trainer with EXPERIMENT_WORKER=1 reads all of them. A lease in the object store decides which trainer does a job.',
  producers: ['cli', 'trainer'],
  consumers: ['trainer'],
  schema: experimentJobPlannedSchema,
  keySchema: z.string().describe('<experiment>/<job id>'),
  keyOf: ({ experiment, jobId }) => `${experiment}/${jobId}`,
  storage: compacted(1),
};
