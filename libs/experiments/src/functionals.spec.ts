import { describe, expect, it } from 'vitest';
import { functionals, functionalsOf } from './functionals.js';

/** One tile; each row is a list of frames. */
const tile = (...rows: number[][]): Uint8Array => Uint8Array.from(rows.flat());
const rounded = (values: Float32Array): number[] => Array.from(values, (value) => Math.round(value * 255 * 100) / 100);

describe('functionals', () => {
  it('are mean, standard deviation, 10th, 50th and 90th percentile of each row, and the share of frames without padding', () => {
    const values = functionals(tile([10, 20, 30, 40, 100], [7, 7, 7, 7, 7]), [2, 5]);
    expect(values.length).toBe(functionalsOf(2));
    expect(rounded(values)).toEqual([40, 31.62, 10, 30, 40, 7, 0, 7, 7, 7, 255]);
  });

  it('leave out padding at the end, but not silence before speech, also over several tiles', () => {
    const [first, second] = [tile([0, 8], [0, 8]), tile([8, 0], [8, 0])];
    const values = functionals(Uint8Array.from([...first, ...second]), [2, 2]);
    expect(rounded(values)[0]).toBe(5.33);
    expect(values.at(-1)).toBe(0.75);
  });
});
