import { expect, test } from 'vitest';
import { SeededRandom } from '#tensor/random.js';
import { augmented } from './augmentation.js';

const tile = [6, 10] as const;
const none = { shiftFrames: 0, shiftRows: 0, gain: 0, masks: 0, maskRows: 0, maskFrames: 0 };
const random = () => SeededRandom.fromSeed(3);
/** Pixels that tell their row and frame: 10 * (row + 1) + frame. */
const made = (count: number) => Uint8Array.from({ length: count * 60 }, (_, at) => 10 * (Math.floor((at % 60) / 10) + 1) + (at % 10));

test('with nothing set, a tile stays as it is', () => {
  expect(augmented(made(2), tile, { augmentation: none, random: random() })).toEqual(made(2));
});

test('a shift moves all rows of a tile by the same number of frames and leaves silence behind', () => {
  const tiles = made(20);
  const shifted = augmented(tiles, tile, { augmentation: { ...none, shiftFrames: 4 }, random: random() });
  const shifts = new Set<number>();
  for (let start = 0; start < tiles.length; start += 60) {
    const row = Array.from(shifted.subarray(start, start + 10));
    const at = row.findIndex((pixel) => pixel > 0);
    const by = at > 0 ? at : 10 - row[0]!; // the first pixel of the unshifted row is 10
    const expected = (first: number, frame: number) => {
      const from = at > 0 ? frame - by : frame - by;
      return from < 0 || from > 9 ? 0 : 10 * (first + 1) + from;
    };
    shifts.add(by);
    for (let row = 0; row < 6; row++)
      expect(Array.from(shifted.subarray(start + row * 10, start + row * 10 + 10))).toEqual(
        Array.from({ length: 10 }, (_, frame) => expected(row, frame)),
      );
  }
  expect(Math.max(...shifts)).toBeLessThanOrEqual(4);
  expect(Math.min(...shifts)).toBeGreaterThanOrEqual(-4);
  expect(shifts.size).toBeGreaterThan(3);
});

test('a shift in frequency moves all frames of a tile by the same number of rows', () => {
  const tiles = made(20);
  const shifted = augmented(tiles, tile, { augmentation: { ...none, shiftRows: 2 }, random: random() });
  const shifts = new Set<number>();
  for (let start = 0; start < tiles.length; start += 60) {
    const rowAt = (row: number): number[] => Array.from(shifted.subarray(start + row * 10, start + row * 10 + 10));
    const by = [-2, -1, 0, 1, 2].find((rowsUp) => rowAt(3)[0] === 10 * (3 - rowsUp + 1))!;
    shifts.add(by);
    for (let row = 0; row < 6; row++) {
      const isOpen = row - by < 0 || row - by > 5;
      expect(rowAt(row)).toEqual(Array.from({ length: 10 }, (_, frame) => (isOpen ? 0 : 10 * (row - by + 1) + frame)));
    }
  }
  expect(shifts.size).toBe(5);
});

test('a mask blanks whole rows and whole frames, each pixel with the mean of its row', () => {
  const augmentation = { ...none, masks: 1, maskRows: 2, maskFrames: 3 };
  const tiles = made(30);
  const masked = augmented(tiles, tile, { augmentation, random: random() });
  const heights = new Set<number>();
  for (let start = 0; start < tiles.length; start += 60) {
    const rows = Array.from({ length: 6 }, (_, row) => {
      const [from, to] = [tiles, masked].map((each) => each.subarray(start + row * 10, start + row * 10 + 10)) as [Uint8Array, Uint8Array];
      const mean = Math.round(from.reduce((sum, pixel) => sum + pixel, 0) / 10);
      return Array.from(to, (pixel, frame) => ({ blank: pixel === mean, same: pixel === from[frame] }));
    });
    expect(rows.flat().every(({ blank, same }) => blank || same)).toBe(true);
    const fullRows = rows.filter((row) => row.every(({ blank }) => blank)).length;
    const fullFrames = Array.from({ length: 10 }, (_, frame) => rows.every((row) => row[frame]!.blank && !row[frame]!.same)).filter(
      Boolean,
    );
    expect(fullRows).toBeLessThanOrEqual(2);
    expect(fullFrames.length).toBeLessThanOrEqual(3);
    heights.add(fullRows);
  }
  expect(heights.size).toBe(3);
});

test('gain adds the same to all sound of a tile and leaves silence silent', () => {
  const tiles = made(10).map((pixel, at) => (at % 7 === 0 ? 0 : pixel));
  const louder = augmented(tiles, tile, { augmentation: { ...none, gain: 5 }, random: random() });
  for (let start = 0; start < tiles.length; start += 60) {
    const added = new Set(Array.from(tiles.subarray(start, start + 60), (pixel, at) => (pixel === 0 ? null : louder[start + at]! - pixel)));
    added.delete(null);
    expect(added.size).toBe(1);
  }
  for (const [at, pixel] of tiles.entries()) if (pixel === 0) expect(louder[at]).toBe(0);
});

test('the generator decides: the same state changes the same tiles the same way', () => {
  const augmentation = { shiftFrames: 3, shiftRows: 1, gain: 2, masks: 2, maskRows: 2, maskFrames: 2 };
  const once = augmented(made(5), tile, { augmentation, random: random() });
  expect(augmented(made(5), tile, { augmentation, random: random() })).toEqual(once);
});
