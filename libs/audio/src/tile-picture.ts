/**
 * Tiles as a PNG to look at: side by side, low frequencies at the bottom, dark to bright (the order of the paper's Fig. 1,
 * Section IV-B). The colours interpolate nine anchors of matplotlib's magma, whose brightness grows evenly.
 *
 * Does not promise the pixel values back: it is for eyes. Use npy for numbers.
 */
import { PNG } from 'pngjs';
import type { FeatureSettings } from './feature-settings.js';

const MAGMA = [0x000004, 0x1d1147, 0x51127c, 0x832681, 0xb73779, 0xe75263, 0xfc8961, 0xfec488, 0xfcfdbf];
/** Columns of background between two tiles. */
const GAP = 2;

/** @param tiles [count, rows, width] */
export function tilesToPng(
  tiles: Uint8Array,
  count: number,
  size: Pick<FeatureSettings, 'rows' | 'width'> = { rows: 128, width: 256 },
): Uint8Array {
  const { rows, width } = size;
  if (count < 1 || tiles.length !== count * rows * width)
    throw new RangeError(`${tiles.length} bytes are not ${count} tiles of ${rows} x ${width}`);
  const colours = colourTable();
  const png = new PNG({ width: count * width + (count - 1) * GAP, height: rows });
  png.data.fill(255);
  for (let tile = 0; tile < count; tile++) {
    for (let row = 0; row < rows; row++) {
      const from = (tile * rows + row) * width;
      const to = (rows - 1 - row) * png.width + tile * (width + GAP);
      for (let column = 0; column < width; column++) {
        const colour = 3 * (tiles[from + column] as number);
        png.data.set(colours.subarray(colour, colour + 3), 4 * (to + column));
      }
    }
  }
  return PNG.sync.write(png);
}

/** [256, 3] */
function colourTable(): Uint8Array {
  const table = new Uint8Array(256 * 3);
  for (let level = 0; level < 256; level++) {
    const place = (level / 255) * (MAGMA.length - 1);
    const anchor = Math.min(Math.floor(place), MAGMA.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const low = channelOf(MAGMA[anchor] as number, channel);
      const high = channelOf(MAGMA[anchor + 1] as number, channel);
      table[level * 3 + channel] = Math.round(low + (high - low) * (place - anchor));
    }
  }
  return table;
}

function channelOf(colour: number, channel: number): number {
  return (colour >> (16 - 8 * channel)) & 255;
}
