/**
 * Gives the classes of each head of a run, and the class of an utterance in each head. The emotion head predicts (paper,
 * Section IV-A) one of four categories (or of the run's own classes), one of three levels of activation or valence (Table I), or one of 3 or 5 clusters.
 *
 * Clusters are fitted once, on the training speakers of a run's first round, and saved with its checkpoints. Other
 * midpoints in a later round would change the meaning of the network's outputs.
 */
import { genders, type Labels, type Task } from '#contracts/labels.js';
import { clusterOf, type DimensionalLabel, fitClusters } from '#corpora/activation-valence-clusters.js';
import { levelOf } from '#corpora/levels.js';
import type { HeadName } from '#paper/losses.js';
import type { ModelSettings } from '#paper/settings.js';
import { isTrained, type TrainingView, type ViewUtterance } from '#index/training-index.js';
import { corpusOf } from '#contracts/object-keys.js';

type TargetSettings = Pick<ModelSettings, 'target' | 'levels' | 'tasks' | 'emotionWords'>;

export interface HeadLabels {
  /** The task under which the head is scored. */
  task: Task;
  classes: readonly string[];
  /** Number of the class; -1 if the labels do not give it. */
  classOf: (utterance: Pick<ViewUtterance, 'utteranceId' | 'labels'>) => number;
}

/** @param vocabulary the midpoints of a run's clusters, and its speakers in the order of the head's units */
export function headLabels(
  settings: TargetSettings,
  { midpoints, speakers }: { midpoints: readonly DimensionalLabel[] | null; speakers: readonly string[] },
): Record<HeadName, HeadLabels> {
  const speakerNumbers = new Map(speakers.map((speaker, index) => [speaker, index]));
  return {
    emotion: {
      task: settings.target,
      classes: settings.tasks.emotion,
      classOf: (utterance) => targetClassOf(utterance, settings, midpoints),
    },
    gender: { task: 'gender', classes: genders, classOf: ({ labels }) => (labels.gender ? genders.indexOf(labels.gender) : -1) },
    speaker: { task: 'speaker', classes: speakers, classOf: ({ labels }) => speakerNumbers.get(labels.speakerId ?? '') ?? -1 },
  };
}

/**
 * @returns midpoints in the order of their classes for a cluster target; null for other targets
 * @throws PipelineError SETTINGS_INVALID if training speakers have too few different labels
 */
export function midpointsFor(view: TrainingView, { target, seed }: Pick<ModelSettings, 'target' | 'seed'>): DimensionalLabel[] | null {
  if (target !== 'clusters-3' && target !== 'clusters-5') return null;
  const points = view.utterances.filter(isTrained).flatMap(({ labels }) => dimensionsOf(labels) ?? []);
  return fitClusters(points, target === 'clusters-3' ? 3 : 5, seed);
}

/** @param midpoints midpoints of the run, for a cluster target @returns number of the class; -1 if the labels do not give it */
export function targetClassOf(
  { utteranceId, labels }: Pick<ViewUtterance, 'utteranceId' | 'labels'>,
  { target, levels, tasks, emotionWords = {} }: TargetSettings,
  midpoints: readonly DimensionalLabel[] | null,
): number {
  if (target === 'emotion') {
    const { category } = labels;
    return category === undefined
      ? -1
      : tasks.emotion.indexOf((Object.hasOwn(emotionWords, category) && emotionWords[category]) || category);
  }
  if (target === 'activation' || target === 'valence') {
    const value = labels[target];
    return value === undefined ? -1 : levelOf(value, corpusOf(utteranceId), { carried: labels.levelEdges, given: levels });
  }
  const dimensions = dimensionsOf(labels);
  return dimensions && midpoints ? clusterOf(dimensions, midpoints) : -1;
}

/**
 * Weight of a tile of each class, so that all classes have the same total: N / (K n), which is 1 if all are equally
 * frequent. Classes without a tile get weight 0 and do not count in K.
 */
export function inverseFrequencies(tilesOfClass: readonly number[]): Float32Array {
  const total = tilesOfClass.reduce((sum, tiles) => sum + tiles, 0);
  const present = tilesOfClass.filter((tiles) => tiles > 0).length;
  return Float32Array.from(tilesOfClass, (tiles) => (tiles > 0 ? total / (present * tiles) : 0));
}

function dimensionsOf({ activation, valence }: Labels): DimensionalLabel | null {
  return activation !== undefined && valence !== undefined ? { activation, valence } : null;
}
