/** Tiles as shards hold them (8 bits a pixel, row-major) to the networks' input, and back in chunks of a bounded size. */
import * as tf from '@tensorflow/tfjs';
import { opsOfBackend } from '#tensor/ops-of-backend.js';

/**
 * Pixels over 255. Rows are frequency, frames time: [tile][row][frame] becomes [B, rows, frames, 1].
 * The caller disposes the tensor.
 */
export function pixelsOf(tiles: Uint8Array, count: number, [rows, frames]: readonly [number, number]): tf.Tensor4D {
  if (tiles.length !== count * rows * frames) {
    throw new RangeError(`${tiles.length} pixels are not ${count} tiles of ${rows} rows and ${frames} frames`);
  }
  return tf.tidy(() => tf.div(opsOfBackend().floatsOf<tf.Rank.R4>(tiles, [count, rows, frames, 1]), 255)); // [B*128*256] -> [B,128,256,1]
}
