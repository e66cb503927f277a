import { describe, expect, it } from 'vitest';
import { tileTimes } from './tile-times.js';

/** 100 samples and 10 frames in a second. */
const audio = (kept: { start: number; end: number }[]) => ({ kept, sampleRateHz: 100, framesPerSample: 0.1 });

describe('the times of tiles', () => {
  it('follow each other where nothing was cut, and end with the audio', () => {
    const times = tileTimes([0, 20], 20, audio([{ start: 0, end: 350 }]));
    expect(times).toEqual([
      { startSec: 0, endSec: 2 },
      { startSec: 2, endSec: 3.5 },
    ]);
  });

  it('count the silence before and inside a tile', () => {
    const kept = [
      { start: 100, end: 200 },
      { start: 500, end: 800 },
    ];
    expect(tileTimes([0, 20], 20, audio(kept))).toEqual([
      { startSec: 1, endSec: 6 },
      { startSec: 6, endSec: 8 },
    ]);
  });
});
