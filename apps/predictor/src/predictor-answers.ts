/** The answers of the predictor over HTTP. The OpenAPI document is made from these schemas (openapi.ts). */
import { z } from 'zod';
import { scoredTileSchema, scoreShape, scoringModelSchema } from '#contracts/emotions.js';
import { emotionTargets, labelsSchema, silenceProfiles, splits } from '#contracts/labels.js';
import { errorCodes } from '#contracts/pipeline-error.js';
import { scoreStates } from './score-backlog.js';

const seconds = z.number().nonnegative();

export const predictionSchema = z
  .object({
    ...scoreShape,
    audioSec: seconds.describe('Duration of the recording'),
    keptSec: seconds.describe('Duration after the silence cut'),
    sampleRateHz: z.number().positive().describe('Rate of the recording'),
    decoder: z.string().describe('The decoder that read it'),
    windows: z.array(scoredTileSchema).optional().describe('With `hop`: an answer every `hop` seconds, each over the width of a tile'),
    remarks: z.array(z.string()).describe('What a reader should know about this recording'),
  })
  .meta({ title: 'Prediction', description: 'What the served model says about one recording' });
export type Prediction = z.infer<typeof predictionSchema>;

/** The body of `POST /predict` as JSON. */
export const objectToPredictSchema = z
  .strictObject({ key: z.string().min(1).describe('Key of a recording in the bucket, under corpora/') })
  .meta({ title: 'ObjectToPredict' });

export const predictQuerySchema = z.strictObject({
  silence: z
    .enum(silenceProfiles)
    .optional()
    .describe(
      'Silence to cut: none, at both ends, or all. Default: that of the utterance with this key, else that of most recordings in the bucket',
    ),
  hop: z.coerce.number().min(0.1).max(60).optional().describe('Also answer every `hop` seconds'),
});
export type PredictQuery = z.infer<typeof predictQuerySchema>;

export const utteranceAnswerSchema = z
  .object({
    utteranceId: z.string(),
    version: z.string(),
    ingestedAt: z.iso.datetime().nullable(),
    labels: labelsSchema,
    split: z.enum(splits).nullable(),
    state: z.enum(scoreStates).describe('`docs/serving.md` explains the states'),
    tiles: z.object({ count: z.number().int().positive(), settingsHash: z.string() }).nullable(),
    published: z
      .object({ version: z.string(), model: z.string() })
      .nullable()
      .describe('The score in the topic: version, and RUN/STEP of its model'),
    score: z
      .object(scoreShape)
      .nullable()
      .describe('The score by the served model, computed for this answer; null without tiles that the model can read'),
  })
  .meta({ title: 'Utterance' });
export type UtteranceAnswer = z.infer<typeof utteranceAnswerSchema>;

const modelAnswerSchema = z
  .object({
    runId: z.string(),
    step: z.number().int(),
    round: z.number().int(),
    target: z.enum(emotionTargets),
    savedAt: z.iso.datetime(),
    settingsHash: z.string().describe('Feature settings of most of its tiles'),
    champions: z.array(z.number().int()).describe('Numbers under which it was made champion'),
    isServed: z.boolean(),
  })
  .meta({ title: 'Model' });
export const modelsAnswerSchema = z
  .object({ models: z.array(modelAnswerSchema).describe('Finished rounds, the newest first') })
  .meta({ title: 'Models' });
export type ModelsAnswer = z.infer<typeof modelsAnswerSchema>;

export const championAnswerSchema = z
  .object({
    served: scoringModelSchema.nullable().describe('The model that answers; its `champion` is null if it is the newest model'),
    champions: z.array(
      z.object({
        target: z.enum(emotionTargets),
        number: z.number().int().positive(),
        runId: z.string(),
        step: z.number().int(),
        since: z.iso.datetime(),
        why: z.string(),
      }),
    ),
  })
  .meta({ title: 'Champion' });
export type ChampionAnswer = z.infer<typeof championAnswerSchema>;

export const statusAnswerSchema = z
  .object({
    model: scoringModelSchema.extend({ round: z.number().int(), savedAt: z.iso.datetime(), servedSince: z.iso.datetime() }).nullable(),
    backend: z.string().nullable(),
    problem: z.string().nullable().describe('Why the chosen model is not served'),
    utterances: z.record(z.enum(scoreStates), z.number().int().nonnegative()).describe('Live utterances in each state'),
    partitions: z.array(z.number().int()).describe('The share of the utterances that this process scores'),
  })
  .meta({ title: 'Status' });
export type PredictorStatus = z.infer<typeof statusAnswerSchema>;

const codes = Object.keys(errorCodes) as [keyof typeof errorCodes, ...(keyof typeof errorCodes)[]];
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.enum(codes).optional().describe('docs/operations.md explains the codes'),
  })
  .meta({ title: 'Problem', description: 'An error, as RFC 9457 describes it' });
export type Problem = z.infer<typeof problemSchema>;
