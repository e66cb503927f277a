/**
 * Running batch-norm statistics measured afresh. Training's running averages lag behind weights that still move (0.25
 * against 0.54 UA at 100 steps, as measured), so every evaluation and export re-estimates them first, on training tiles.
 */
import * as tf from '@tensorflow/tfjs';
import { byBatchStatistics, type ObservedStatistics } from './batch-norm.js';
import { recurrentLogits } from '#baselines/cnn-lstm.js';
import type { Model } from './model.js';
import { decode, encode, noDropout } from './networks.js';
import type { Parameter } from '#tensor/parameter.js';
import { observeColumn } from '#baselines/progressive-phases.js';
import { pixelsOf } from './tiles.js';

export interface StatisticsBatch {
  /** Row-major, as in a `TrainingBatch`. */
  tiles: Uint8Array;
  count: number;
}

/**
 * Replaces running means and variances by their exact average over these batches (weighted by tiles), each layer fed, as
 * in training, with what the layer below made of the batch. No weight moves, no chance is used. Batches should be mixed
 * as training's are. Without a batch everything stays, as does in `progressive` the column that does not learn.
 * @param options `ofSource`: of `progressive` the first column's, at its end, in place of those of the one that learns
 */
export async function reestimateBatchNorm(
  model: Model,
  batches: Iterable<StatisticsBatch>,
  { ofSource = false }: { ofSource?: boolean } = {},
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
    for (const { layer, mean, variance } of observe(model, batch, ofSource)) {
      addWeighted(sumOf(layer.runningMean), await mean.data(), batch.count);
      addWeighted(sumOf(layer.runningVariance), await variance.data(), batch.count);
      tf.dispose([mean, variance]);
    }
  }
  for (const [parameter, sum] of sums) {
    tf.tidy(() => parameter.value.assign(tf.tensor1d(Float32Array.from(sum, (value) => value / tilesSeen))));
  }
}

function observe(model: Model, { tiles, count }: StatisticsBatch, ofSource: boolean): ObservedStatistics[] {
  const { encoder, decoder, heads, settings } = model;
  const observed: ObservedStatistics[] = [];
  const normalise = byBatchStatistics(observed);
  tf.tidy(() => {
    const pixels = pixelsOf(tiles, count, settings.tile);
    if (model.lateral) return observeColumn(model, pixels, { normalise, ofSource });
    const z = encode(encoder, pixels, normalise);
    if (decoder) decode(decoder, z, normalise);
    if ('recurrent' in heads.emotion.layers) recurrentLogits(heads.emotion.layers, z, { normalise, dropout: noDropout });
  });
  return observed;
}

function addWeighted(sum: Float64Array, values: ArrayLike<number>, weight: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + weight * values[i]!;
}
