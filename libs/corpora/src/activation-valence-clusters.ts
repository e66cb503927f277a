/**
 * Divides the activation-valence plane into 3 or 5 clusters (paper, Section IV-A: k-means on the annotations; an utterance
 * belongs to the nearest midpoint). Points are sorted first, and the fit is seeded, so equal points give equal clusters in
 * any order. Clusters are numbered by valence, then activation, of their midpoints. The best of several starts counts.
 *
 * Does not promise a fair test if it is fitted on points of test speakers. The caller gives points of training speakers only.
 */
import { kmeans } from 'ml-kmeans';
import { PipelineError } from '#contracts/pipeline-error.js';

export interface DimensionalLabel {
  /** 1 to 5 */
  activation: number;
  /** 1 to 5 */
  valence: number;
}

const STARTS = 10;

/** @returns midpoints in order. @throws PipelineError SETTINGS_INVALID with fewer distinct points than clusters */
export function fitClusters(trainingLabels: readonly DimensionalLabel[], count: 3 | 5, seed: number): DimensionalLabel[] {
  const points = trainingLabels.map(({ activation, valence }) => [valence, activation]).sort(compare);
  const distinct = new Set(points.map(String)).size;
  if (distinct < count) {
    throw new PipelineError(
      'SETTINGS_INVALID',
      `${count} clusters of activation and valence need ${count} different labels of training speakers, but there are ${distinct}. Label more utterances, or choose fewer clusters.`,
      { context: { distinct, count } },
    );
  }
  const fits = Array.from({ length: STARTS }, (_, start) => kmeans(points, count, { seed: seed + start, initialization: 'kmeans++' }));
  const errorOf = (fit: (typeof fits)[number]): number =>
    fit.computeInformation(points).reduce((sum, { error, size }) => sum + error * size, 0);
  const best = fits.reduce((a, b) => (errorOf(b) < errorOf(a) ? b : a));
  return best.centroids.sort(compare).map(([valence = 0, activation = 0]) => ({ activation, valence }));
}

/** @returns the index of the nearest midpoint; the first of those that are equally near */
export function clusterOf(label: DimensionalLabel, midpoints: readonly DimensionalLabel[]): number {
  const distances = midpoints.map(({ activation, valence }) => Math.hypot(activation - label.activation, valence - label.valence));
  return distances.indexOf(Math.min(...distances));
}

function compare([a = 0, b = 0]: number[], [c = 0, d = 0]: number[]): number {
  return a - c || b - d;
}
