/**
 * Cuts a spectrogram to the width that the network takes. Source: the paper, Section IV-B ("spectrograms were cropped at a
 * fixed width of 256"), which leaves open where, and what happens to the rest.
 *
 * `tiles` cuts one tile after another from the start. If the rest at the end has at least a quarter of the width (64 frames),
 * it becomes a tile padded with 0; if not, it is dropped. `centre` takes one crop from the middle. An utterance narrower than
 * a tile gives one tile, padded with 0 at its end, in both layouts.
 *
 * A tile with hardly any speech teaches noise. `minSpeechShare` leaves such a tile out if the utterance has a better one. The
 * best tile of an utterance always stays.
 *
 * Not every frame ends up in a tile.
 */
import type { LeftOut } from '#contracts/shards.js';
import type { FeatureSettings } from '../feature-settings.js';
import type { Spectrogram } from './spectrogram.js';

export interface Tiles {
  /** [count, rows, width]: row 0 of a tile is its lowest frequency, and a column is a frame */
  tiles: Uint8Array;
  count: number;
}

export interface CutTiles extends Tiles {
  /** The frame of the spectrogram at which each tile starts. */
  starts: number[];
  /** Number of tiles that were not made, by reason; only reasons that occurred. */
  leftOut: LeftOut;
}

/** Frames [start, end) of the spectrogram that hold speech, in order and not touching. */
export interface SpeechFrames {
  start: number;
  end: number;
}

type TileSettings = Pick<FeatureSettings, 'rows' | 'width' | 'layout' | 'minSpeechShare'>;

/** @param speech where it is known; without it every tile stays */
export function cutTiles(picture: Spectrogram, settings: TileSettings, speech?: readonly SpeechFrames[]): CutTiles {
  const all = tileStarts(picture.frames, settings);
  const starts = speech ? startsWithSpeech(all, speech, settings) : all;
  return {
    ...tilesAt(starts, picture, settings),
    leftOut: starts.length < all.length ? { 'little speech': all.length - starts.length } : {},
    starts,
  };
}

/** Overlapping tiles, one every `hopFrames`, as long as they lie in the picture. */
export function cutWindows(picture: Spectrogram, settings: TileSettings, hopFrames: number): Omit<CutTiles, 'leftOut'> {
  const count = Math.floor(Math.max(0, picture.frames - settings.width) / hopFrames) + 1;
  const starts = Array.from({ length: count }, (_, window) => window * hopFrames);
  return { ...tilesAt(starts, picture, settings), starts };
}

function tilesAt(starts: readonly number[], { pixels, frames }: Spectrogram, { rows, width }: TileSettings): Tiles {
  const tiles = new Uint8Array(starts.length * rows * width);
  starts.forEach((start, tile) => {
    const taken = Math.min(width, frames - start);
    for (let row = 0; row < rows; row++) {
      const from = row * frames + start;
      tiles.set(pixels.subarray(from, from + taken), (tile * rows + row) * width);
    }
  });
  return { tiles, count: starts.length };
}

/** Those with enough speech; if none has enough, the one with the most. */
function startsWithSpeech(
  starts: readonly number[],
  speech: readonly SpeechFrames[],
  { width, minSpeechShare = 0 }: TileSettings,
): number[] {
  const frames = starts.map((start) => speech.reduce((sum, run) => sum + overlap(run, { start, end: start + width }), 0));
  const kept = starts.filter((_, tile) => frames[tile]! >= minSpeechShare * width);
  return kept.length > 0 ? kept : [starts[frames.indexOf(Math.max(...frames))]!];
}

const overlap = (a: SpeechFrames, b: SpeechFrames): number => Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start));

function tileStarts(frames: number, { width, layout }: Pick<FeatureSettings, 'width' | 'layout'>): number[] {
  if (frames <= width) return [0];
  if (layout === 'centre') return [Math.floor((frames - width) / 2)];
  const whole = Math.floor(frames / width);
  const count = frames - whole * width >= width / 4 ? whole + 1 : whole;
  return Array.from({ length: count }, (_, tile) => tile * width);
}
