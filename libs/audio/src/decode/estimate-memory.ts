/**
 * Tells from a file's header what it will take in memory on its way to tiles, before anything is decoded. So a pool of
 * workers can let many short files in at once and a long one only when there is room.
 *
 * Some files do not state their length: all that ffmpeg decodes, and FLAC from a pipe. It is guessed from their size, with the
 * number of samples that the guess allows. If more come, decoding stops with NeedsMemory, and the file is tried again for the
 * largest that is taken. So a small file of hours of silence cannot take what was not lent.
 */
import { parseStreamInfo } from '../flac/decode-flac.js';
import { parseWav } from './decode-wav.js';
import type { FeatureSettings } from '../feature-settings.js';
import { MOST_FFMPEG_RATE_HZ } from './ffmpeg-config.js';
import { sniffFormat } from './sniff-format.js';

/** Speech is seldom coded in less than 8 kbit/s. */
const LEAST_CODED_BYTES_PER_SEC = 1000;
const FLOAT_BYTES = 4;
/** Usually, of an ffmpeg process beside its libraries; `limitMemory` ends one that takes far more. */
const FFMPEG_BYTES = 24e6;
/** Decoders look a little beyond the longest that is taken, to see that a file is too long. */
const SPARE_SEC = 2;

type EstimateSettings = Pick<FeatureSettings, 'sampleRateHz' | 'hopLength' | 'rows' | 'maxDurationSec'>;

export interface MemoryEstimate {
  /** Those of the file included; 0 for a file that will be refused by its header. */
  bytes: number;
  /** Beyond these the estimate does not hold; null: the header tells the length. */
  allowedSamples: number | null;
}

/** @param guess of a length that is not stated: `usual` for a file of its size, or the `largest` that is taken */
export function estimateMemory(bytes: Uint8Array, settings: EstimateSettings, guess: 'usual' | 'largest' = 'usual'): MemoryEstimate {
  const length = lengthOf(bytes);
  if (!length) return { bytes: 0, allowedSamples: null };
  const { rateHz, throughFfmpeg } = length;
  const longestSec = settings.maxDurationSec + SPARE_SEC;
  const guessedSec = guess === 'largest' ? longestSec : Math.min(longestSec, bytes.length / LEAST_CODED_BYTES_PER_SEC);
  const durationSec = length.durationSec === null ? guessedSec : Math.min(settings.maxDurationSec, length.durationSec);
  const decoded = FLOAT_BYTES * durationSec * rateHz;
  const resampled = FLOAT_BYTES * durationSec * settings.sampleRateHz;
  const powerValues = (settings.rows * durationSec * settings.sampleRateHz) / settings.hopLength;
  const pictures = powerValues * (FLOAT_BYTES + 2); // power, pixels, tiles
  const decoding = bytes.length + decoded + (throughFfmpeg ? FFMPEG_BYTES : 0);
  return {
    bytes: Math.round(Math.max(decoding, decoded + resampled, resampled + pictures)),
    allowedSamples: length.durationSec === null && guess === 'usual' ? Math.ceil(guessedSec * rateHz) : null,
  };
}

interface StatedLength {
  /** null: unknown until it is decoded. */
  durationSec: number | null;
  rateHz: number;
  throughFfmpeg: boolean;
}

const CODED: StatedLength = { durationSec: null, rateHz: MOST_FFMPEG_RATE_HZ, throughFfmpeg: true };

function lengthOf(file: Uint8Array): StatedLength | null {
  try {
    const format = sniffFormat(file);
    const bytes = format?.offset === undefined ? file : file.subarray(format.offset);
    switch (format?.family) {
      case undefined:
        return null;
      case 'flac': {
        const { totalSamples, sampleRateHz: rateHz } = parseStreamInfo(bytes);
        return { durationSec: totalSamples > 0 ? totalSamples / rateHz : null, rateHz, throughFfmpeg: false };
      }
      case 'wav': {
        const { encoding, sampleCount, sampleRateHz: rateHz } = parseWav(bytes);
        return encoding === 'other' ? CODED : { durationSec: sampleCount / rateHz, rateHz, throughFfmpeg: false };
      }
      case 'ffmpeg':
        return CODED;
    }
  } catch {
    return null; // the decoder will say what is wrong with it
  }
}
