/**
 * The emotion of each live utterance, as the served model hears it: the champion, else the newest model.
 *
 * The key is the utterance id, so the topic holds one score for each utterance: that of its newest version by the newest model that
 * scored it. A tombstone says that the utterance was deleted.
 *
 * The speaker head is left out: it names training speakers, which is no answer about a new recording.
 */
import { z } from 'zod';
import { emotionTargets, tasks } from './labels.js';
import { isKeyName } from './object-keys.js';
import { compacted, type Topic } from './topic.js';

const share = z.number().min(0).max(1);
const seconds = z.number().nonnegative();
/** The tasks that a score answers. */
export const scoredTasks = tasks.filter((task) => task !== 'speaker');
const scoredTask = z.enum(scoredTasks);

/** The model that answered. */
export const scoringModelSchema = z.object({
  runId: z.string().refine(isKeyName, 'is not a name that a key may contain'),
  step: z.number().int().nonnegative(),
  target: z.enum(emotionTargets).describe('The task of its emotion head'),
  champion: z.number().int().positive().nullable().describe('The object champions/<number>.json; null if it was the newest model'),
});
export type ScoringModel = z.infer<typeof scoringModelSchema>;

export const scoredTileSchema = z.object({
  startSec: seconds.nullable().describe('Start in the recording; null for tiles of old shards, which do not say it'),
  endSec: seconds.nullable().describe('End in the recording'),
  probabilities: z
    .partialRecord(scoredTask, z.array(share))
    .describe('For each task a probability of each class, in the order of `classes`'),
});
export type ScoredTile = z.infer<typeof scoredTileSchema>;

/** The part of a score that does not depend on where the audio came from. */
export const scoreShape = {
  model: scoringModelSchema,
  settingsHash: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .describe('Digest of the feature settings of the tiles; the model was trained with them'),
  classes: z.partialRecord(scoredTask, z.array(z.string()).min(1)).describe('The classes of each task, in order'),
  probabilities: z
    .partialRecord(scoredTask, z.record(z.string(), share))
    .describe('For each task the probability of each class: the mean over the tiles'),
  entropy: z
    .number()
    .nonnegative()
    .describe('Entropy of the emotion probabilities in bits. 0 is certain; the log2 of the classes is a guess.'),
  tiles: z.array(scoredTileSchema).min(1),
};

export const utteranceScoredSchema = z
  .object({
    utteranceId: z.string().min(3).describe('<corpus>/<path inside the corpus>'),
    version: z.string().length(16).describe('The version of the utterance that was scored; compare it for equality only'),
    ...scoreShape,
    scoredAt: z.iso.datetime(),
  })
  .refine(({ model, probabilities }) => probabilities[model.target] !== undefined, {
    path: ['probabilities'],
    message: "lacks the model's target",
  })
  .refine(
    ({ classes, tiles }) => tiles.every((tile) => scoredTasks.every((task) => tile.probabilities[task]?.length === classes[task]?.length)),
    {
      path: ['tiles'],
      message: 'does not give each class a probability',
    },
  )
  .meta({ title: 'UtteranceScored', description: 'A model scored an utterance. Gives probabilities for the whole and for each tile.' });
export type UtteranceScored = z.infer<typeof utteranceScoredSchema>;

export const emotions: Topic<UtteranceScored, 'predictor'> = {
  noun: 'emotions',
  version: 1,
  description: 'The newest score of each live utterance, by the champion or else the newest model.',
  producers: ['predictor'],
  consumers: ['predictor'],
  schema: utteranceScoredSchema,
  keySchema: z.string().min(3).describe('Utterance id'),
  keyOf: (fact) => fact.utteranceId,
  storage: compacted(4),
};
