import { describe, expect, it } from 'vitest';
import { featureSettings } from '../feature-settings.js';
import { cutTiles } from './tiles.js';

const settings = featureSettings();
const centred = featureSettings({ layout: 'centre' });
/** A pixel is its row in even frames, and the frame number (mod 256) in odd ones. */
const picture = (frames: number) => ({
  frames,
  pixels: Uint8Array.from({ length: 128 * frames }, (_, i) => ((i % frames) % 2 === 0 ? Math.floor(i / frames) : (i % frames) % 256)),
});

describe('tiles', () => {
  it.each([
    [1, 1],
    [63, 1],
    [256, 1],
    [257, 1],
    [319, 1],
    [320, 2],
    [512, 2],
    [575, 2],
    [576, 3],
  ])('of %i frames are %i', (frames, count) => {
    expect(cutTiles(picture(frames), settings).count).toBe(count);
    expect(cutTiles(picture(frames), settings).tiles).toHaveLength(count * 32_768);
    expect(cutTiles(picture(frames), centred).count).toBe(1);
  });

  it('hold the rows of the spectrogram at their frames, and 0 beyond its end', () => {
    const { tiles } = cutTiles(picture(400), settings);
    const at = (tile: number, row: number, column: number) => tiles[(tile * 128 + row) * 256 + column];
    expect(at(0, 77, 4)).toBe(77);
    expect(at(0, 77, 255)).toBe(255);
    expect(at(1, 127, 0)).toBe(127);
    expect(at(1, 127, 143)).toBe((256 + 143) % 256);
    expect(at(1, 127, 144)).toBe(0);
  });

  it('layout centre takes the middle', () => {
    const { tiles } = cutTiles(picture(300), centred);
    expect(tiles[5 * 256 + 1]).toBe(23); // frame 22 + 1
    expect(tiles[5 * 256]).toBe(5);
  });

  it('with too little speech are left out where the utterance has a better one', () => {
    const speech = [
      { start: 0, end: 200 },
      { start: 250, end: 270 },
      { start: 512, end: 800 },
    ];
    const { count, leftOut, tiles } = cutTiles(picture(1_024), featureSettings({ minSpeechShare: 0.1 }), speech);
    expect([count, leftOut]).toEqual([3, { 'little speech': 1 }]); // frames 256 to 511 hold 14 of speech, under a tenth of 256
    expect(tiles[32_768 + 1]).toBe((512 + 1) % 256);
    expect(cutTiles(picture(1_024), featureSettings({ minSpeechShare: 0.05 }), speech).count).toBe(4);
    expect(cutTiles(picture(1_024), featureSettings({ minSpeechShare: 0 }), speech).count).toBe(4);
  });

  it('of an utterance with little speech are the best one alone: an utterance never vanishes', () => {
    const { count, tiles } = cutTiles(picture(1_024), settings, [{ start: 700, end: 705 }]);
    expect(count).toBe(1);
    expect(tiles[1]).toBe((512 + 1) % 256);
    expect(cutTiles(picture(1_024), settings, []).count).toBe(1);
  });
});
