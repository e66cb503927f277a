/** The vocabularies that every stage shares (paper, Section IV-A). The order is the order of the network's outputs. */
import { z } from 'zod';

/** The paper's four. A corpus or a run may name other classes, so a category is any word. */
export const emotionCategories = ['angry', 'happy', 'neutral', 'sad'] as const;
/** Largest number of letters in a category. */
export const mostCategoryLetters = 60;
export const genders = ['female', 'male'] as const;
export const splits = ['train', 'dev', 'test'] as const;
export const streams = ['labelled', 'unlabelled'] as const;
export const silenceProfiles = ['none', 'ends', 'all'] as const;
/** Targets of the primary head; a run learns one of them (paper, Sections IV-A and V). `emotion`: the four categories, or those of the run. */
export const emotionTargets = ['emotion', 'activation', 'valence', 'clusters-3', 'clusters-5'] as const;
export const tasks = [...emotionTargets, 'gender', 'speaker'] as const;
/** `withheld`: utterances of training speakers kept out of training, on which speaker identification is scored. */
export const scoredSplits = ['dev', 'test', 'withheld'] as const;

/** A class of emotion as the corpus names it: one of `emotionCategories`, or a word of the corpus's own classes. */
export type EmotionCategory = string;
export type EmotionTarget = (typeof emotionTargets)[number];
export type Gender = (typeof genders)[number];
export type Split = (typeof splits)[number];
export type Stream = (typeof streams)[number];
export type SilenceProfile = (typeof silenceProfiles)[number];
export type Task = (typeof tasks)[number];
export type ScoredSplit = (typeof scoredSplits)[number];

/** Unless a run names its own emotions. In the order of the network's outputs: the levels of Table I; clusters sorted by valence, then activation, of their midpoints. */
export const targetClasses: Record<EmotionTarget, readonly string[]> = {
  emotion: emotionCategories,
  activation: ['low', 'medium', 'high'],
  valence: ['negative', 'neutral', 'positive'],
  'clusters-3': clusterNames(3),
  'clusters-5': clusterNames(5),
};

function clusterNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `cluster ${index + 1}`);
}

/** Upper edges of the lowest and the middle level of activation and valence, on a scale from 1 to 5. */
export type LevelEdges = readonly [number, number];

const dimension = z.number().min(1).max(5);

export const labelsSchema = z.object({
  speakerId: z.string().min(1).optional(),
  gender: z.enum(genders).optional(),
  category: z
    .string()
    .min(1)
    .max(mostCategoryLetters)
    .optional()
    .describe('One of angry, happy, neutral, sad, or a class that corpus.json names'),
  activation: dimension.optional().describe('1 (calm) to 5 (excited)'),
  valence: dimension.optional().describe('1 (negative) to 5 (positive)'),
  session: z.string().optional(),
  levelEdges: z
    .tuple([dimension, dimension])
    .readonly()
    .optional()
    .describe('Level edges that the reader of the corpus gives (Table I). Absent where the edges follow from the name of the corpus.'),
});
export type Labels = z.infer<typeof labelsSchema>;

/** True if the labels give the value that an emotion head with this target learns. */
export function carriesTarget({ category, activation, valence }: Labels, target: EmotionTarget): boolean {
  if (target === 'emotion') return category !== undefined;
  if (target === 'activation') return activation !== undefined;
  if (target === 'valence') return valence !== undefined;
  return activation !== undefined && valence !== undefined;
}

/** An utterance counts as labelled if its category is known, or both activation and valence are. */
export function streamOf(labels: Labels): Stream {
  const hasDimensions = labels.activation !== undefined && labels.valence !== undefined;
  return labels.category !== undefined || hasDimensions ? 'labelled' : 'unlabelled';
}
