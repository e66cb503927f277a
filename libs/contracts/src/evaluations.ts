/** Scores of one checkpoint on one task and split (paper, Section V). */
import { z } from 'zod';
import { genders, scoredSplits, tasks, type ScoredSplit, type Task } from './labels.js';
import { compacted, type Topic } from './topic.js';

const share = z.number().min(0).max(1);

const uaIntervalSchema = z.tuple([share, share]).nullable();

const genderScoreSchema = z.object({
  n: z.number().int().positive().describe('Utterances scored'),
  speakers: z.number().int().nonnegative(),
  ua: share,
  uaInterval: uaIntervalSchema.describe('95 % interval of UA by bootstrap over speakers; null below five speakers'),
});
export type GenderScore = z.infer<typeof genderScoreSchema>;

const speakerSpreadSchema = z.object({
  speakers: z.number().int().positive().describe('Speakers with at least five utterances'),
  median: share,
  worst: share,
  worstSpeaker: z.string().min(1),
});
export type SpeakerSpread = z.infer<typeof speakerSpreadSchema>;

export const modelEvaluatedSchema = z
  .object({
    runId: z.string().min(1),
    step: z.number().int().nonnegative(),
    task: z.enum(tasks),
    split: z.enum(scoredSplits),
    n: z.number().int().positive().describe('Utterances scored'),
    speakers: z.number().int().nonnegative(),
    wa: share.describe('Weighted accuracy: the share of utterances that were classified correctly'),
    ua: share.describe('Unweighted accuracy: the mean recall over the classes that occur'),
    uaInterval: uaIntervalSchema.describe(
      '95 % interval of UA by bootstrap over speakers. Null below five speakers, where such an interval is too narrow.',
    ),
    recall: z.record(z.string(), share.nullable()).describe('Recall of each class; null where the class does not occur'),
    classes: z.array(z.string()),
    confusion: z.array(z.array(z.number().int().nonnegative())).describe('Rows: truth, columns: prediction'),
    byGender: z
      .partialRecord(z.enum(genders), genderScoreSchema)
      .optional()
      .describe('Scores of each gender that occurs. Absent for the task gender, for unknown genders, and in old records.'),
    spread: speakerSpreadSchema
      .optional()
      .describe('UA of single speakers. Absent for the task speaker, if every speaker has fewer than five utterances, and in old records.'),
    viewDigest: z.string(),
    experiment: z
      .string()
      .optional()
      .describe('The experiment whose job was scored; runId is then the job id. Absent for continuous training.'),
    evaluatedAt: z.iso.datetime(),
  })
  .meta({ title: 'ModelEvaluated', description: 'A checkpoint was scored on one task and split' });
export type ModelEvaluated = z.infer<typeof modelEvaluatedSchema>;

/** Most tasks are scored on test speakers. A model can only identify speakers that it was trained on, so speaker is scored on `withheld`. */
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
