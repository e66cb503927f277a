/**
 * Finds the place of a tile in its recording. A tile counts frames of the audio that remains after the silence cut, so its time in the
 * recording follows from the kept ranges. A tile that spans a cut also spans the silence that was cut there.
 */
import type { KeptRange } from './silence/trim-silence.js';

/** Seconds from the start of the recording. */
export interface TileTime {
  startSec: number;
  endSec: number;
}

export interface KeptAudio {
  /** Ranges of samples, in order. */
  kept: readonly KeptRange[];
  /** Rate of these samples. */
  sampleRateHz: number;
  /** Frames of the spectrogram in one sample. */
  framesPerSample: number;
}

/** @param starts first frame of each tile @param width frames of a tile */
export function tileTimes(starts: readonly number[], width: number, audio: KeptAudio): TileTime[] {
  const { kept, sampleRateHz, framesPerSample } = audio;
  const length = kept.reduce((sum, { start, end }) => sum + end - start, 0);
  const keptSample = (frame: number): number => Math.min(length, Math.round(frame / framesPerSample));
  return starts.map((start) => ({
    startSec: sourceSample(kept, keptSample(start)) / sampleRateHz,
    endSec: (sourceSample(kept, Math.max(0, keptSample(start + width) - 1)) + 1) / sampleRateHz,
  }));
}

/** @param at number of a kept sample @returns its number in the recording */
function sourceSample(kept: readonly KeptRange[], at: number): number {
  let before = 0;
  for (const { start, end } of kept) {
    if (at < before + end - start) return start + at - before;
    before += end - start;
  }
  return kept.at(-1)?.end ?? 0;
}
