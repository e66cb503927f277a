/**
 * What each head of a run tells apart, and which class an utterance has in it. The emotion head's (paper, Section IV-A):
 * one of four categories, one of three levels of activation or valence (Table I), or one of 3 or 5 clusters of both.
 *
 * Clusters are fitted once, on the training speakers of a run's first round, and saved with its checkpoints: another
 * round with other midpoints would give the network's outputs another meaning.
 */
import { emotionCategories, genders, type Labels, type Task } from '#contracts/labels.js';
import { clusterOf, type DimensionalLabel, fitClusters } from '#corpora/activation-valence-clusters.js';
import { levelOf } from '#corpora/levels.js';
import type { HeadName } from '#paper/losses.js';
import type { ModelSettings } from '#paper/settings.js';
import { isTrained, type TrainingView, type ViewUtterance } from '#index/training-index.js';

type TargetSettings = Pick<ModelSettings, 'target' | 'levels'>;

export interface HeadLabels {
  /** Under which it is scored. */
  task: Task;
  classes: readonly string[];
  /** The class's number; -1 where the labels do not say. */
  classOf: (utterance: Pick<ViewUtterance, 'utteranceId' | 'labels'>) => number;
}

/** @param vocabulary what a run has collected: midpoints of its clusters, speakers in the order of the head's units */
export function headLabels(
  settings: TargetSettings & Pick<ModelSettings, 'tasks'>,
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
 * @returns midpoints for a target of clusters, in the order of their classes; null for the others
 * @throws PipelineError SETTINGS_INVALID where training speakers have too few different labels
 */
export function midpointsFor(view: TrainingView, { target, seed }: Pick<ModelSettings, 'target' | 'seed'>): DimensionalLabel[] | null {
  if (target !== 'clusters-3' && target !== 'clusters-5') return null;
  const points = view.utterances.filter(isTrained).flatMap(({ labels }) => dimensionsOf(labels) ?? []);
  return fitClusters(points, target === 'clusters-3' ? 3 : 5, seed);
}

/** @param midpoints those of the run, for a target of clusters @returns the class's number; -1 where the labels do not say */
export function targetClassOf(
  { utteranceId, labels }: Pick<ViewUtterance, 'utteranceId' | 'labels'>,
  { target, levels }: TargetSettings,
  midpoints: readonly DimensionalLabel[] | null,
): number {
  if (target === 'emotion') return labels.category ? emotionCategories.indexOf(labels.category) : -1;
  if (target === 'activation' || target === 'valence') {
    const value = labels[target];
    const corpus = utteranceId.slice(0, utteranceId.indexOf('/'));
    return value === undefined ? -1 : levelOf(value, corpus, { carried: labels.levelEdges, given: levels });
  }
  const dimensions = dimensionsOf(labels);
  return dimensions && midpoints ? clusterOf(dimensions, midpoints) : -1;
}

/**
 * What a tile of each class counts, so that all classes count the same together: N / (K n), 1 if all are equally frequent;
 * classes without a tile are left out of K and count nothing.
 */
export function inverseFrequencies(tilesOfClass: readonly number[]): Float32Array {
  const total = tilesOfClass.reduce((sum, tiles) => sum + tiles, 0);
  const present = tilesOfClass.filter((tiles) => tiles > 0).length;
  return Float32Array.from(tilesOfClass, (tiles) => (tiles > 0 ? total / (present * tiles) : 0));
}

function dimensionsOf({ activation, valence }: Labels): DimensionalLabel | null {
  return activation !== undefined && valence !== undefined ? { activation, valence } : null;
}
