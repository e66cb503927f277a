/** Scores of one checkpoint on one task and split (paper, Section V). */
import { z } from 'zod';
import { scoredSplits, tasks, type ScoredSplit, type Task } from './labels.js';
import { compacted, type Topic } from './topic.js';

const share = z.number().min(0).max(1);

export const modelEvaluatedSchema = z
  .object({
    runId: z.string().min(1),
    step: z.number().int().nonnegative(),
    task: z.enum(tasks),
    split: z.enum(scoredSplits),
    n: z.number().int().positive().describe('Utterances scored'),
    speakers: z.number().int().nonnegative(),
    wa: share.describe('Weighted accuracy: the share of utterances that were right'),
    ua: share.describe('Unweighted accuracy: the mean recall over the classes that occur'),
    uaInterval: z
      .tuple([share, share])
      .nullable()
      .describe('95 % interval of UA by bootstrap over speakers; null below five speakers, where it would not cover'),
    recall: z.record(z.string(), share.nullable()).describe('By class; null where the class does not occur'),
    classes: z.array(z.string()),
    confusion: z.array(z.array(z.number().int().nonnegative())).describe('Rows: truth, columns: prediction'),
    viewDigest: z.string(),
    experiment: z.string().optional().describe('Of a job of this experiment, whose id is the run; absent: of continuous training'),
    evaluatedAt: z.iso.datetime(),
  })
  .meta({ title: 'ModelEvaluated', description: 'A checkpoint was scored on one task and split' });
export type ModelEvaluated = z.infer<typeof modelEvaluatedSchema>;

/** Held-out speakers are scored on test; speakers can only be identified among those that were trained on. */
export const reportedSplit = (task: Task): ScoredSplit => (task === 'speaker' ? 'withheld' : 'test');

export const evaluations: Topic<ModelEvaluated, 'evaluator' | 'trainer'> = {
  noun: 'evaluations',
  version: 1,
  description: 'WA, UA, recall by class and confusion of every checkpoint.',
  producers: ['evaluator', 'trainer'],
  consumers: ['evaluator', 'cli'],
  schema: modelEvaluatedSchema,
  keySchema: z.string().describe('<run id>/<step>/<task>/<split>'),
  keyOf: (fact) => `${fact.runId}/${fact.step}/${fact.task}/${fact.split}`,
  storage: compacted(1),
};
