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
  .describe('Loss of each phase, a mean over the batch. Null if the phase did not run or no example had the label.');
const base = { runId: z.string().min(1), round: z.number().int().positive(), step: z.number().int().nonnegative(), at: z.iso.datetime() };

export const stepTrainedSchema = z
  .object({
    type: z.literal('StepTrained'),
    ...base,
    losses: stepLossesSchema,
    stepMs: z.number(),
    waitMs: z.number().optional().describe('The part of stepMs that the trainer waited for tiles'),
    findings: z.array(z.string()).optional().describe('Problems of the run at this step, in words'),
  })
  .meta({ title: 'StepTrained', description: 'The trainer finished a step. It reports a sample of the steps.' });

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
      .describe('The tiles that no earlier round has learnt'),
    checkedOn: z
      .number()
      .int()
      .optional()
      .describe('Number of utterances of dev speakers that decide when the round stops early; 0 if the round has none'),
    speakers: z.number().int(),
  })
  .meta({ title: 'RoundStarted', description: 'A round began on a fixed view of the shards' });

/** Reasons for the end of a round: it did its steps, its time ran out, or dev speakers no longer improved. */
export const roundEnds = ['steps', 'time', 'dev'] as const;
export type RoundEnd = (typeof roundEnds)[number];

export const devCheckedSchema = z
  .object({
    type: z.literal('DevChecked'),
    ...base,
    ua: z.number().min(0).max(1).describe('UA of emotion on dev speakers'),
    bestStep: z.number().int().nonnegative(),
    bestUa: z.number().min(0).max(1),
  })
  .meta({ title: 'DevChecked', description: 'The trainer scored dev speakers in the middle of a round' });

export const roundFinishedSchema = z
  .object({
    type: z.literal('RoundFinished'),
    ...base,
    losses: stepLossesSchema,
    tilesPerSec: z.number(),
    wallSec: z.number(),
    waitShare: z.number().optional().describe('Share of the time of the steps that the trainer waited for tiles'),
    backend: z.string(),
    ended: z.enum(roundEnds).optional().describe('Reason for the end'),
    bestStep: z.number().int().optional().describe('The step whose weights the round keeps'),
  })
  .meta({ title: 'RoundFinished', description: 'A round ended. Gives its losses and speed.' });

export const trainingSchema = z.discriminatedUnion('type', [stepTrainedSchema, roundStartedSchema, devCheckedSchema, roundFinishedSchema]);
export type TrainingFact = z.infer<typeof trainingSchema>;
export type StepTrained = z.infer<typeof stepTrainedSchema>;
export type RoundStarted = z.infer<typeof roundStartedSchema>;
export type DevChecked = z.infer<typeof devCheckedSchema>;
export type RoundFinished = z.infer<typeof roundFinishedSchema>;

export const training: Topic<TrainingFact, 'trainer'> = {
  noun: 'training',
  version: 1,
  description: 'Losses of each phase and throughput during training.',
  producers: ['trainer'],
  consumers: ['evaluator', 'cli'],
  schema: trainingSchema,
  keySchema: z.string().min(1).describe('Run id'),
  keyOf: (fact) => fact.runId,
  storage: retained(1, 30 * dayMs),
};
