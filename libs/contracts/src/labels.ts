/** The vocabularies that every stage shares (paper, Section IV-A). The order is the order of the network's outputs. */
import { z } from 'zod';

export const emotionCategories = ['angry', 'happy', 'neutral', 'sad'] as const;
export const genders = ['female', 'male'] as const;
export const splits = ['train', 'dev', 'test'] as const;
export const streams = ['labelled', 'unlabelled'] as const;
export const silenceProfiles = ['none', 'ends', 'all'] as const;
export const tasks = ['emotion', 'gender', 'speaker'] as const;
/** `withheld`: utterances of training speakers kept out of training, on which speaker identification is scored. */
export const scoredSplits = ['dev', 'test', 'withheld'] as const;

export type EmotionCategory = (typeof emotionCategories)[number];
export type Gender = (typeof genders)[number];
export type Split = (typeof splits)[number];
export type Stream = (typeof streams)[number];
export type SilenceProfile = (typeof silenceProfiles)[number];
export type Task = (typeof tasks)[number];
export type ScoredSplit = (typeof scoredSplits)[number];

const dimension = z.number().min(1).max(5);

export const labelsSchema = z.object({
  speakerId: z.string().min(1).optional(),
  gender: z.enum(genders).optional(),
  category: z.enum(emotionCategories).optional(),
  activation: dimension.optional().describe('1 (calm) to 5 (excited)'),
  valence: dimension.optional().describe('1 (negative) to 5 (positive)'),
  session: z.string().optional(),
});
export type Labels = z.infer<typeof labelsSchema>;

/** An utterance is labelled for emotion when its category, or both of its dimensions, are known. */
export function streamOf(labels: Labels): Stream {
  const hasDimensions = labels.activation !== undefined && labels.valence !== undefined;
  return labels.category !== undefined || hasDimensions ? 'labelled' : 'unlabelled';
}
