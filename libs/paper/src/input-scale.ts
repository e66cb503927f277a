/**
 * The network's input: pixels over 255, and with `input.standardise: rows` each row less its mean, over its deviation. Mean and
 * deviation come from training tiles alone, before the first step, and never change after. They are saved with the weights and
 * travel into every export, so that a model is always fed what it was trained on.
 */
import * as tf from '@tensorflow/tfjs';
import type { Parameter } from '#tensor/parameter.js';
import type { Network } from './networks.js';
import type { ModelSettings } from './settings.js';
import { pixelsOf } from './tiles.js';

/** Mean and deviation of each row, in units of 0 to 1. */
export interface RowScale {
  mean: Parameter<tf.Rank.R1>;
  deviation: Parameter<tf.Rank.R1>;
}

/** A row that is nearly the same in all tiles, such as one beyond the band limit, is not blown up. */
const SMALLEST_DEVIATION = 0.02;

/** @returns null where pixels are taken as they are */
export function createRowScale({ input, tile: [rows] }: ModelSettings): Network<RowScale> | null {
  if (input?.standardise !== 'rows') return null;
  const mean = { name: 'input.mean', value: tf.variable(tf.zeros<tf.Rank.R1>([rows]), false) };
  const deviation = { name: 'input.deviation', value: tf.variable(tf.ones<tf.Rank.R1>([rows]), false) };
  return { layers: { mean, deviation }, parameters: [], statistics: [mean, deviation] };
}

interface Fed {
  settings: ModelSettings;
  rowScale: Network<RowScale> | null;
}

/** @returns [B, rows, frames, 1]; the caller disposes it @throws RangeError when the sizes do not fit */
export function inputOf({ settings, rowScale }: Fed, tiles: Uint8Array, count: number): tf.Tensor4D {
  if (!rowScale) return pixelsOf(tiles, count, settings.tile);
  const { mean, deviation } = rowScale.layers;
  return tf.tidy(() => {
    const pixels = pixelsOf(tiles, count, settings.tile);
    return tf.div(tf.sub(pixels, byRow(mean)), byRow(deviation)); // [B,128,256,1] - [1,128,1,1]
  });
}

/** The other way round: what the decoder gives, in units of 0 to 1. */
export function outputPixels({ rowScale }: Fed, decoded: tf.Tensor4D): tf.Tensor4D {
  if (!rowScale) return decoded;
  const { mean, deviation } = rowScale.layers;
  return tf.add(tf.mul(decoded, byRow(deviation)), byRow(mean));
}

/**
 * Measures mean and deviation of each row over these tiles. Call it once, on training tiles, before the first step.
 * Does nothing for a model whose pixels are taken as they are.
 */
export function fitRowScale({ settings, rowScale }: Fed, batches: Iterable<{ tiles: Uint8Array; count: number }>): void {
  if (!rowScale) return;
  const [rows, frames] = settings.tile;
  const sums = new Float64Array(rows);
  const squares = new Float64Array(rows);
  let pixelsOfRow = 0;
  for (const { tiles, count } of batches) {
    pixelsOfRow += count * frames;
    for (let at = 0; at < count * rows; at++) {
      const row = at % rows;
      for (const pixel of tiles.subarray(at * frames, (at + 1) * frames)) {
        sums[row]! += pixel / 255;
        squares[row]! += (pixel / 255) ** 2;
      }
    }
  }
  if (pixelsOfRow === 0) return;
  const means = Float32Array.from(sums, (sum) => sum / pixelsOfRow);
  const deviations = Float32Array.from(squares, (square, row) =>
    Math.max(SMALLEST_DEVIATION, Math.sqrt(Math.max(0, square / pixelsOfRow - (sums[row]! / pixelsOfRow) ** 2))),
  );
  tf.tidy(() => {
    rowScale.layers.mean.value.assign(tf.tensor1d(means));
    rowScale.layers.deviation.value.assign(tf.tensor1d(deviations));
  });
}

const byRow = ({ value }: Parameter<tf.Rank.R1>): tf.Tensor4D => tf.reshape(value, [1, value.shape[0], 1, 1]);
