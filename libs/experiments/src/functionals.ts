/**
 * Computes functionals of an utterance: the mean, the standard deviation and the 10th, 50th and 90th percentile over time of
 * each row of its tiles, and the share of frames that are not padding. They are the input of the reference classifier without a network.
 *
 * This is not eGeMAPS: there is no pitch, jitter or formant.
 */
const percentiles = [0.1, 0.5, 0.9];

/** The length of the vector: five numbers for each row, and one for the utterance. */
export const functionalsOf = (rows: number): number => rows * (2 + percentiles.length) + 1;

/**
 * @param tiles [count, rows, frames] pixels of one utterance, row-major; frames at the end that are all 0 are padding
 * @returns [rows * 5 + 1], pixels in [0, 1]
 */
export function functionals(tiles: Uint8Array, [rows, frames]: [number, number]): Float32Array {
  const count = tiles.length / (rows * frames);
  const heard = heardFrames(tiles, [rows, frames]);
  const values = new Float32Array(functionalsOf(rows));
  const histogram = new Uint32Array(256);
  for (let row = 0; row < rows; row++) {
    histogram.fill(0);
    for (let frame = 0; frame < heard; frame++) {
      const tile = Math.floor(frame / frames);
      histogram[tiles[tile * rows * frames + row * frames + (frame % frames)] as number]!++;
    }
    values.set(statisticsOf(histogram, heard), row * (2 + percentiles.length));
  }
  values[values.length - 1] = heard / (Math.max(1, count) * frames);
  return values;
}

function heardFrames(tiles: Uint8Array, [rows, frames]: [number, number]): number {
  const count = tiles.length / (rows * frames);
  let heard = count * frames;
  const isSilent = (frame: number): boolean => {
    const start = Math.floor(frame / frames) * rows * frames + (frame % frames);
    for (let row = 0; row < rows; row++) if (tiles[start + row * frames] !== 0) return false;
    return true;
  };
  while (heard > 1 && isSilent(heard - 1)) heard--;
  return heard;
}

function statisticsOf(histogram: Uint32Array, total: number): number[] {
  let [sum, squares] = [0, 0];
  histogram.forEach((count, pixel) => {
    sum += count * pixel;
    squares += count * pixel * pixel;
  });
  const mean = sum / total;
  const deviation = Math.sqrt(Math.max(0, squares / total - mean * mean));
  return [mean, deviation, ...percentiles.map((share) => percentileOf(histogram, share * (total - 1)))].map((value) => value / 255);
}

/** @param rank in the sorted pixels, from 0; a rank between two takes the lower @returns the pixel at that rank */
function percentileOf(histogram: Uint32Array, rank: number): number {
  let below = 0;
  for (let pixel = 0; pixel < 256; pixel++) {
    below += histogram[pixel] as number;
    if (below > Math.floor(rank)) return pixel;
  }
  return 255;
}
