/**
 * Running batch-norm statistics measured afresh. Training's running averages lag behind weights that still move (0.25
 * against 0.54 UA at 100 steps, as measured), so every evaluation and export re-estimates them first, on training tiles.
 */
import * as tf from '@tensorflow/tfjs';
import { byBatchStatistics, type ObservedStatistics } from './batch-norm.js';
import type { AnyModel } from './model.js';
import type { Parameter } from '#tensor/parameter.js';
import type { ObservingPass } from './system.js';
import { inputOf } from './input-scale.js';

export interface StatisticsBatch {
  /** Row-major, as in a `TrainingBatch`. */
  tiles: Uint8Array;
  count: number;
}

/**
 * Replaces running means and variances by their exact average over these batches (weighted by tiles), each layer fed, as
 * in training, with what the layer below made of the batch. No weight moves, no chance is used. Batches should be mixed
 * as training's are. Without a batch everything stays.
 * @param pass decides which layers are measured: those of the system's own pass by default
 */
export async function reestimateBatchNorm(
  model: AnyModel,
  batches: Iterable<StatisticsBatch>,
  pass: ObservingPass = model.system.observe,
): Promise<void> {
  const sums = new Map<Parameter, Float64Array>();
  const sumOf = (parameter: Parameter): Float64Array => {
    const sum = sums.get(parameter) ?? new Float64Array(parameter.value.size);
    sums.set(parameter, sum);
    return sum;
  };
  let tilesSeen = 0;
  for (const batch of batches) {
    tilesSeen += batch.count;
    for (const { layer, mean, variance } of observe(model, batch, pass)) {
      addWeighted(sumOf(layer.runningMean), await mean.data(), batch.count);
      addWeighted(sumOf(layer.runningVariance), await variance.data(), batch.count);
      tf.dispose([mean, variance]);
    }
  }
  for (const [parameter, sum] of sums) {
    tf.tidy(() => parameter.value.assign(tf.tensor1d(Float32Array.from(sum, (value) => value / tilesSeen))));
  }
}

function observe(model: AnyModel, { tiles, count }: StatisticsBatch, pass: ObservingPass): ObservedStatistics[] {
  const observed: ObservedStatistics[] = [];
  tf.tidy(() => {
    const pixels = inputOf(model, tiles, count);
    pass(pixels, byBatchStatistics(observed));
  });
  return observed;
}

function addWeighted(sum: Float64Array, values: ArrayLike<number>, weight: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + weight * values[i]!;
}
