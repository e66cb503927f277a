/**
 * Vocal tract length perturbation (Jaitly and Hinton 2013, Section 3): the rows of a spectrogram are moved along the frequency
 * axis as another length of the vocal tract would move its formants. Up to a boundary that lies above the formants that
 * matter, frequencies are multiplied by alpha; from there to the Nyquist frequency the rest is squeezed or stretched, so
 * that the highest row stays where it is. Time stays as it is.
 *
 * A tile's alpha is drawn from the model's generator, so that a resumed run warps the same tiles the same way. Rows are taken
 * to be equally wide, row 0 lowest: it does not fit mel rows.
 */
import type { SeededRandom } from '#tensor/random.js';

/** 4 800 Hz of 11 000, as a share of the rows: the paper's boundary, in our band. */
const BOUNDARY = 4800 / 11_000;

/** @returns the tiles, each warped by a factor of its own between the two */
export function perturbed(
  tiles: Uint8Array,
  tile: readonly [number, number],
  { warp: [lowest, highest], random }: { warp: readonly [number, number]; random: Pick<SeededRandom, 'uniform'> },
): Uint8Array {
  const count = tiles.length / (tile[0] * tile[1]);
  const alphas = Array.from({ length: count }, () => lowest + random.uniform() * (highest - lowest));
  return warpFrequencies(tiles, tile, alphas);
}

/**
 * @param tiles [alphas.length, rows, frames] pixels, row-major; left as they are
 * @param alphas one for each tile: above 1 a sound moves up, 1 changes nothing
 */
export function warpFrequencies(tiles: Uint8Array, [rows, frames]: readonly [number, number], alphas: readonly number[]): Uint8Array {
  const warped = new Uint8Array(tiles.length);
  const size = rows * frames;
  alphas.forEach((alpha, tile) => {
    const [from, to] = [tiles.subarray(tile * size, (tile + 1) * size), warped.subarray(tile * size, (tile + 1) * size)];
    for (let row = 0; row < rows; row++) {
      const source = Math.min(rows - 1, Math.max(0, sourceOf(row + 0.5, rows, alpha) - 0.5));
      const below = Math.floor(source);
      const [low, high, share] = [below * frames, Math.min(rows - 1, below + 1) * frames, source - below];
      for (let frame = 0; frame < frames; frame++) {
        const [a, b] = [from[low + frame]!, from[high + frame]!];
        to[row * frames + frame] = Math.round(a + share * (b - a));
      }
    }
  });
  return warped;
}

/** The frequency, in rows, that the warp brings to this one: its inverse. */
function sourceOf(frequency: number, nyquist: number, alpha: number): number {
  const edge = BOUNDARY * nyquist * Math.min(alpha, 1);
  if (frequency <= edge) return frequency / alpha;
  return nyquist - ((nyquist - frequency) * (nyquist - edge / alpha)) / (nyquist - edge);
}
