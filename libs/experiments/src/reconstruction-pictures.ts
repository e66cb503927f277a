/** Draws tiles beside their reconstructions as PNG: low frequencies at the bottom, time to the right. */
import { PNG } from 'pngjs';
import { magmaOf } from '#audio/spectrogram/magma.js';
import type { ReconstructionSample } from './experiment-results.js';

/** White pixels between the two pictures. */
export const pictureGap = 8;
const white = 255;

/** @returns PNG, original at the left, reconstruction at the right. @throws RangeError if a tile does not have the given shape */
export function reconstructionPicture({ utteranceId, original, reconstruction, shape }: ReconstructionSample): Uint8Array {
  const [rows, frames] = shape;
  if (original.length !== rows * frames || reconstruction.length !== rows * frames)
    throw new RangeError(`${utteranceId}: its tiles do not have the expected size ${rows} x ${frames}`);
  const image = new PNG({ width: 2 * frames + pictureGap, height: rows });
  image.data.fill(white);
  for (const [tile, left] of [
    [original, 0],
    [reconstruction, frames + pictureGap],
  ] as const) {
    tile.forEach((value, index) => {
      const row = rows - 1 - Math.floor(index / frames);
      const level = Math.round(255 * Math.min(1, Math.max(0, value || 0)));
      image.data.set(magmaOf(level), 4 * (row * image.width + left + (index % frames)));
    });
  }
  return PNG.sync.write(image);
}

/** Mean absolute difference of pixels. */
export const reconstructionError = ({ original, reconstruction }: ReconstructionSample): number =>
  original.reduce((sum, value, index) => sum + Math.abs(value - (reconstruction[index] as number)), 0) / Math.max(1, original.length);
