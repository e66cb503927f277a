import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import { defaultFeatureSettings } from '../feature-settings.js';
import { writeNpy } from '../shard/npy.js';
import { tilesToPng } from './tile-picture.js';

const settings = defaultFeatureSettings;

describe('tilesToPng', () => {
  it('refuses another number of tiles than stated', () => {
    expect(() => tilesToPng({ tiles: new Uint8Array(32_768), starts: [0, 256], frames: 300 }, settings)).toThrow(RangeError);
    expect(() => tilesToPng({ tiles: new Uint8Array(0), starts: [], frames: 0 }, settings)).toThrow(RangeError);
  });

  it('draws low frequencies at the bottom, tiles side by side, loud bright, padding grey', () => {
    const tiles = new Uint8Array(2 * 32_768);
    tiles.fill(255, 0, 256); // row 0 of tile 0
    tiles[32_768 + 127 * 256 + 1] = 128; // row 127, column 1 of tile 1
    const png = PNG.sync.read(Buffer.from(tilesToPng({ tiles, starts: [0, 256], frames: 256 + 100 }, settings)));
    const colourAt = (column: number, row: number) => {
      const at = 4 * ((16 + 2 * (127 - row)) * png.width + 64 + 2 * column);
      return [...png.data.subarray(at, at + 3)];
    };
    const brightness = (column: number, row: number) => colourAt(column, row).reduce((sum, part) => sum + part, 0);
    expect(brightness(10, 0)).toBeGreaterThan(600);
    expect(brightness(10, 1)).toBeLessThan(20);
    expect(brightness(257, 127)).toBeGreaterThan(200);
    expect(brightness(258, 127)).toBeLessThan(20);
    expect(colourAt(256 + 99, 5)).not.toEqual(colourAt(256 + 100, 5));
    expect(colourAt(256 + 100, 5)).toEqual([176, 176, 176]);
  });

  it('draws the padding of a tile that follows a tile left out', () => {
    const pictured = { tiles: new Uint8Array(2 * 32_768), starts: [0, 512], frames: 512 + 100 };
    const png = PNG.sync.read(Buffer.from(tilesToPng(pictured, settings)));
    const isPadding = (column: number) => png.data[4 * (16 * png.width + 64 + 2 * column)] === 176;
    expect([isPadding(255), isPadding(256 + 99), isPadding(256 + 100)]).toEqual([false, false, true]);
  });

  it('starts a new line after four tiles', () => {
    const black = (count: number) => {
      const starts = Array.from({ length: count }, (_, tile) => tile * 256);
      return PNG.sync.read(Buffer.from(tilesToPng({ tiles: new Uint8Array(count * 32_768), starts, frames: count * 256 }, settings)));
    };
    const [four, five] = [black(4), black(5)];
    expect([five.width, five.height]).toEqual([four.width, 2 * four.height]);
  });
});

describe('writeNpy', () => {
  it('refuses a shape of another size', () => {
    expect(() => writeNpy(new Uint8Array(5), [2, 3])).toThrow(RangeError);
  });

  it('has a header that NumPy reads, aligned to 64 bytes', () => {
    const file = Buffer.from(writeNpy(Uint8Array.of(1, 2, 3, 4, 5, 6), [2, 3]));
    const headerLength = file.readUInt16LE(8) + 10;
    expect(headerLength % 64).toBe(0);
    expect(file.subarray(0, 8).toString('latin1')).toBe('\x93NUMPY\x01\x00');
    expect(file.subarray(10, headerLength).toString('latin1')).toMatch(
      /^\{'descr': '\|u1', 'fortran_order': False, 'shape': \(2, 3\), \} *\n$/,
    );
    expect([...file.subarray(headerLength)]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(writeNpy(new Uint8Array(4), [4])).toHaveLength(132);
  });
});
