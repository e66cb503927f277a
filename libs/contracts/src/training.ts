/** Progress of training: sampled steps and finished rounds. */
import { z } from 'zod';
import { retained, dayMs, type Topic } from './topic.js';

/** Loss of each phase, each a mean over the batch; null where the phase or the label was absent. */
export const stepLossesSchema = z.object({
  reconstruction: z.number().nullable(),
  discriminator: z.number().nullable(),
  generator: z.number().nullable(),
  discriminatorAccuracy: z.number().nullable(),
  emotion: z.number().nullable(),
  gender: z.number().nullable(),
  speaker: z.number().nullable(),
});
const base = { runId: z.string().min(1), round: z.number().int().positive(), step: z.number().int().nonnegative(), at: z.iso.datetime() };

export const stepTrainedSchema = z.object({ type: z.literal('StepTrained'), ...base, losses: stepLossesSchema, stepMs: z.number() });

export const roundStartedSchema = z.object({
  type: z.literal('RoundStarted'),
  ...base,
  viewDigest: z.string(),
  steps: z.number().int().positive(),
  tiles: z.object({ labelled: z.number().int(), unlabelled: z.number().int() }),
  speakers: z.number().int(),
});

export const roundFinishedSchema = z.object({
  type: z.literal('RoundFinished'),
  ...base,
  losses: stepLossesSchema,
  tilesPerSec: z.number(),
  wallSec: z.number(),
  backend: z.string(),
});

export const trainingSchema = z.discriminatedUnion('type', [stepTrainedSchema, roundStartedSchema, roundFinishedSchema]);
export type TrainingFact = z.infer<typeof trainingSchema>;
export type StepTrained = z.infer<typeof stepTrainedSchema>;
export type RoundStarted = z.infer<typeof roundStartedSchema>;
export type RoundFinished = z.infer<typeof roundFinishedSchema>;

export const training: Topic<TrainingFact> = {
  noun: 'training',
  version: 1,
  description: 'Losses by phase and throughput, as training goes on.',
  schema: trainingSchema,
  keyOf: (fact) => fact.runId,
  storage: retained(1, 30 * dayMs),
};
