/** Progress of training: sampled steps and finished rounds. */
import { z } from 'zod';
import { retained, dayMs, type Topic } from './topic.js';

export const stepLossesSchema = z
  .object({
    reconstruction: z.number().nullable(),
    discriminator: z.number().nullable(),
    generator: z.number().nullable(),
    discriminatorAccuracy: z.number().nullable(),
    emotion: z.number().nullable(),
    gender: z.number().nullable(),
    speaker: z.number().nullable(),
  })
  .describe('Loss of each phase, each a mean over the batch; null where the phase or the label was absent');
const base = { runId: z.string().min(1), round: z.number().int().positive(), step: z.number().int().nonnegative(), at: z.iso.datetime() };

export const stepTrainedSchema = z
  .object({
    type: z.literal('StepTrained'),
    ...base,
    losses: stepLossesSchema,
    stepMs: z.number(),
    waitMs: z.number().optional().describe('Of stepMs, for tiles'),
    findings: z.array(z.string()).optional().describe('What is wrong with the run now, in words'),
  })
  .meta({ title: 'StepTrained', description: 'A step was trained; sampled, not every step is told' });

export const roundStartedSchema = z
  .object({
    type: z.literal('RoundStarted'),
    ...base,
    viewDigest: z.string(),
    steps: z.number().int().positive(),
    tiles: z.object({ labelled: z.number().int(), unlabelled: z.number().int() }),
    freshTiles: z
      .object({ labelled: z.number().int(), unlabelled: z.number().int() })
      .optional()
      .describe('Of the tiles, those that no earlier round has learnt'),
    checkedOn: z.number().int().optional().describe('Utterances of dev speakers that decide when the round is enough; 0: nobody does'),
    speakers: z.number().int(),
  })
  .meta({ title: 'RoundStarted', description: 'A round began on a view of the shards that stays as it is' });

/** Its steps are done, its time is over, or dev speakers are understood no better. */
export const roundEnds = ['steps', 'time', 'dev'] as const;
export type RoundEnd = (typeof roundEnds)[number];

export const devCheckedSchema = z
  .object({
    type: z.literal('DevChecked'),
    ...base,
    ua: z.number().min(0).max(1).describe('Of emotion, on dev speakers'),
    bestStep: z.number().int().nonnegative(),
    bestUa: z.number().min(0).max(1),
  })
  .meta({ title: 'DevChecked', description: 'How well dev speakers are understood in the middle of a round' });

export const roundFinishedSchema = z
  .object({
    type: z.literal('RoundFinished'),
    ...base,
    losses: stepLossesSchema,
    tilesPerSec: z.number(),
    wallSec: z.number(),
    waitShare: z.number().optional().describe('Of the time of the steps, waiting for tiles'),
    backend: z.string(),
    ended: z.enum(roundEnds).optional().describe('By what'),
    bestStep: z.number().int().optional().describe('The step whose weights the round leaves behind'),
  })
  .meta({ title: 'RoundFinished', description: 'A round came to its end, at this speed' });

export const trainingSchema = z.discriminatedUnion('type', [stepTrainedSchema, roundStartedSchema, devCheckedSchema, roundFinishedSchema]);
export type TrainingFact = z.infer<typeof trainingSchema>;
export type StepTrained = z.infer<typeof stepTrainedSchema>;
export type RoundStarted = z.infer<typeof roundStartedSchema>;
export type DevChecked = z.infer<typeof devCheckedSchema>;
export type RoundFinished = z.infer<typeof roundFinishedSchema>;

export const training: Topic<TrainingFact, 'trainer'> = {
  noun: 'training',
  version: 1,
  description: 'Losses by phase and throughput, as training goes on.',
  producers: ['trainer'],
  consumers: ['evaluator', 'cli'],
  schema: trainingSchema,
  keySchema: z.string().min(1).describe('Run id'),
  keyOf: (fact) => fact.runId,
  storage: retained(1, 30 * dayMs),
};
