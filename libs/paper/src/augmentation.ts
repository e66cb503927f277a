/**
 * Changes to training tiles that leave the emotion what it is: a shift in time, a shift in frequency (a higher or lower
 * voice), and bands of rows and frames that are blanked
 * (Park et al. 2019, SpecAugment, Section 2, without its warping). Each tile gets its own draw, from the model's generator, so
 * that a resumed run changes the same tiles the same way. Predictions never see changed tiles.
 */
import type { SeededRandom } from '#tensor/random.js';
import type { ModelSettings } from './settings.js';

type Augmentation = NonNullable<ModelSettings['augmentation']>;

/**
 * @param tiles [count, rows, frames] pixels, row-major; they stay as they are
 * @returns the changed tiles; a masked pixel gets the mean of its row in the tile, and what a shift leaves open gets 0, as padding does
 */
export function augmented(
  tiles: Uint8Array,
  [rows, frames]: readonly [number, number],
  { augmentation, random }: { augmentation: Augmentation; random: Pick<SeededRandom, 'uniform'> },
): Uint8Array {
  const { shiftFrames, shiftRows, maskRows, maskFrames, masks, gain } = augmentation;
  const size = rows * frames;
  const changed = new Uint8Array(tiles.length);
  const whole = (limit: number): number => Math.floor(random.uniform() * (limit + 1));
  const eitherWay = (limit: number): number => (limit === 0 ? 0 : whole(2 * limit) - limit);
  for (let start = 0; start < tiles.length; start += size) {
    const from = tiles.subarray(start, start + size);
    const to = changed.subarray(start, start + size);
    shift(from, to, { frames, by: eitherWay(shiftFrames), rowsUp: eitherWay(shiftRows) });
    if (gain > 0) addToSound(to, Math.round((2 * random.uniform() - 1) * gain));
    if (masks === 0) continue;
    const means = rowMeans(to, frames);
    for (let mask = 0; mask < masks; mask++) {
      const [height, width] = [whole(maskRows), whole(maskFrames)];
      const [row, frame] = [whole(rows - height), whole(frames - width)];
      for (const [at, mean] of means.entries()) {
        const isInBand = at >= row && at < row + height;
        to.fill(mean, at * frames + (isInBand ? 0 : frame), at * frames + (isInBand ? frames : frame + width));
      }
    }
  }
  return changed;
}

function shift(from: Uint8Array, to: Uint8Array, { frames, by, rowsUp }: { frames: number; by: number; rowsUp: number }): void {
  for (let row = 0; row < from.length; row += frames) {
    const target = row + rowsUp * frames;
    if (target < 0 || target >= to.length) continue;
    if (by >= 0) to.set(from.subarray(row, row + frames - by), target + by);
    else to.set(from.subarray(row - by, row + frames), target);
  }
}

function rowMeans(tile: Uint8Array, frames: number): number[] {
  return Array.from({ length: tile.length / frames }, (_, row) =>
    Math.round(tile.subarray(row * frames, (row + 1) * frames).reduce((sum, pixel) => sum + pixel, 0) / frames),
  );
}

/** Louder or softer; silence stays silence. */
function addToSound(tile: Uint8Array, change: number): void {
  for (const [at, pixel] of tile.entries()) if (pixel > 0) tile[at] = Math.max(1, Math.min(255, pixel + change));
}
