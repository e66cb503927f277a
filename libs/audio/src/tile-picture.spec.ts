import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import { writeNpy } from './npy.js';
import { tilesToPng } from './tile-picture.js';

describe('tilesToPng', () => {
  it('refuses tiles that are not as many as said', () => {
    expect(() => tilesToPng(new Uint8Array(32_768), 2)).toThrow(RangeError);
    expect(() => tilesToPng(new Uint8Array(0), 0)).toThrow(RangeError);
  });

  it('puts low frequencies at the bottom, tiles side by side, loud bright', () => {
    const tiles = new Uint8Array(2 * 32_768);
    tiles.fill(255, 0, 256); // row 0 of tile 0
    tiles[32_768 + 127 * 256] = 128; // row 127, column 0 of tile 1
    const png = PNG.sync.read(Buffer.from(tilesToPng(tiles, 2)));
    const brightness = (x: number, y: number) =>
      [0, 1, 2].reduce((sum, channel) => sum + (png.data[4 * (y * png.width + x) + channel] as number), 0);
    expect([png.width, png.height]).toEqual([514, 128]);
    expect(brightness(10, 127)).toBeGreaterThan(600);
    expect(brightness(10, 126)).toBeLessThan(20);
    expect(brightness(258, 0)).toBeGreaterThan(200);
    expect(brightness(259, 0)).toBeLessThan(20);
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
