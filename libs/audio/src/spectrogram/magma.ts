/**
 * Levels as colours: nine anchors of matplotlib's magma, whose brightness rises evenly, and the colours interpolated between them.
 * Vega has this scheme too, but this room draws pixels without Vega (see bitmap-font.ts), and eight lines replace that import.
 */
export type Colour = readonly [red: number, green: number, blue: number];

const MAGMA = [0x000004, 0x1d1147, 0x51127c, 0x832681, 0xb73779, 0xe75263, 0xfc8961, 0xfec488, 0xfcfdbf];
const colours = colourTable();

/** @param level 0 to 255 */
export const magmaOf = (level: number): Colour => [
  colours[3 * level] as number,
  colours[3 * level + 1] as number,
  colours[3 * level + 2] as number,
];

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
