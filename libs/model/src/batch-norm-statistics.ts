/**
 * Running batch-norm statistics measured afresh. Training's running averages lag behind weights that still move (0.25
 * against 0.54 UA at 100 steps, as measured), so every evaluation and export re-estimates them first, on training tiles.
 */
import * as tf from '@tensorflow/tfjs';
import { byBatchStatistics, type ObservedStatistics } from './batch-norm.js';
import { type Model, modelStatistics } from './model.js';
import { decode, encode } from './networks.js';
import { pixelsOf } from './tiles.js';

export interface StatisticsBatch {
  /** Row-major, as in a `TrainingBatch`. */
  tiles: Uint8Array;
  count: number;
}

/**
 * Replaces running means and variances by their exact average over these batches (weighted by tiles), each layer fed, as
 * in training, with what the layer below made of the batch. No weight moves, no chance is used. Batches should be mixed
 * as training's are. Without a batch everything stays.
 */
export async function reestimateBatchNorm(model: Model, batches: Iterable<StatisticsBatch>): Promise<void> {
  const statistics = modelStatistics(model);
  const sums = new Map(statistics.map((parameter) => [parameter, new Float64Array(parameter.value.size)]));
  let tilesSeen = 0;
  for (const batch of batches) {
    tilesSeen += batch.count;
    for (const { layer, mean, variance } of observe(model, batch)) {
      addWeighted(sums.get(layer.runningMean)!, await mean.data(), batch.count);
      addWeighted(sums.get(layer.runningVariance)!, await variance.data(), batch.count);
      tf.dispose([mean, variance]);
    }
  }
  if (tilesSeen === 0) return;
  for (const [parameter, sum] of sums) {
    tf.tidy(() => parameter.value.assign(tf.tensor1d(Float32Array.from(sum, (value) => value / tilesSeen))));
  }
}

function observe({ encoder, decoder, settings }: Model, { tiles, count }: StatisticsBatch): ObservedStatistics[] {
  const observed: ObservedStatistics[] = [];
  const normalise = byBatchStatistics(observed);
  tf.tidy(() => {
    const z = encode(encoder, pixelsOf(tiles, count, settings.tile), normalise);
    if (decoder) decode(decoder, z, normalise);
  });
  return observed;
}

function addWeighted(sum: Float64Array, values: ArrayLike<number>, weight: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + weight * values[i]!;
}
