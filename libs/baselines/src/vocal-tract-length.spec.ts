import { describe, expect, test } from 'vitest';
import { SeededRandom } from '#tensor/random.js';
import { perturbed, warpFrequencies } from './vocal-tract-length.js';

const shape = [128, 40] as const;
const [rows, frames] = shape;

/** One bright pixel line on black: where a row, and only there, or where a frame is. */
const picture = (isBright: (row: number, frame: number) => boolean): Uint8Array =>
  Uint8Array.from({ length: rows * frames }, (_, at) => (isBright(Math.floor(at / frames), at % frames) ? 200 : 0));
const rowOf = (tile: Uint8Array, row: number): number[] => [...tile.subarray(row * frames, (row + 1) * frames)];

/** Of one frame, where its brightness lies: in rows. */
function centreOf(tile: Uint8Array, frame: number): number {
  let [sum, weight] = [0, 0];
  for (let row = 0; row < rows; row++) {
    const pixel = tile[row * frames + frame]!;
    sum += pixel * (row + 0.5);
    weight += pixel;
  }
  return sum / weight;
}

describe('the warp of a vocal tract', () => {
  test('moves a tone in frequency by alpha, below the boundary, and equally in all frames', () => {
    const tone = picture((row) => row === 30);
    for (const alpha of [0.9, 0.95, 1.05, 1.1]) {
      const warped = warpFrequencies(tone, shape, [alpha]);
      const centres = Array.from({ length: frames }, (_, frame) => centreOf(warped, frame));
      expect(new Set(centres).size, 'all frames alike').toBe(1);
      expect(Math.abs(centres[0]! - 30.5 * alpha), `alpha ${alpha}`).toBeLessThan(0.6);
    }
  });

  test('leaves a click where it is in time', () => {
    const click = picture((_, frame) => frame === 17);
    for (const alpha of [0.9, 1.1]) expect(warpFrequencies(click, shape, [alpha])).toEqual(click);
  });

  test('never mixes frames: what is silent stays silent, the padding at the end too', () => {
    const half = picture((row, frame) => frame < 20 && (row * 7 + frame * 3) % 5 === 0);
    const warped = warpFrequencies(half, shape, [1.08]);
    for (let row = 0; row < rows; row++) expect(rowOf(warped, row).slice(20)).toEqual(new Array(20).fill(0));
  });

  test('at 1 changes nothing, and leaves what it was given as it was', () => {
    const noise = Uint8Array.from({ length: 2 * rows * frames }, (_, at) => (at * 37) % 256);
    const before = noise.slice();
    expect(warpFrequencies(noise, shape, [1, 1])).toEqual(noise);
    warpFrequencies(noise, shape, [0.9, 1.1]);
    expect(noise).toEqual(before);
  });

  test('brings the boundary of 4 800 Hz to alpha times where it was, and keeps the Nyquist frequency', () => {
    const ramp = picture(() => false).map((_, at) => 2 * Math.floor(at / frames)); // pixel = 2 * row
    for (const alpha of [0.9, 1.1]) {
      const warped = warpFrequencies(ramp, shape, [alpha]);
      const sourceRow = (row: number): number => warped[row * frames]! / 2;
      const edge = Math.round((4800 / 11_000) * rows * Math.min(alpha, 1));
      expect(Math.abs(sourceRow(edge) - edge / alpha)).toBeLessThan(1);
      expect(sourceRow(rows - 1)).toBeGreaterThan(rows - 2);
      for (let row = 1; row < rows; row++) expect(sourceRow(row)).toBeGreaterThanOrEqual(sourceRow(row - 1));
    }
  });

  test('gives each tile its own factor, within the bounds, the same from the same state of the generator', () => {
    const tone = picture((row) => row === 30);
    const four = new Uint8Array(4 * tone.length);
    for (let tile = 0; tile < 4; tile++) four.set(tone, tile * tone.length);
    const draw = (seed: number) => perturbed(four, shape, { warp: [0.9, 1.1], random: SeededRandom.fromSeed(seed) });
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    const factors = [0, 1, 2, 3].map((tile) => centreOf(draw(1).subarray(tile * tone.length, (tile + 1) * tone.length), 0) / 30.5);
    expect(new Set(factors).size).toBe(4);
    for (const factor of factors) expect(Math.abs(factor - 1)).toBeLessThan(0.12);
  });
});
