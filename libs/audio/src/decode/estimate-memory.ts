/**
 * Estimates from a file's header the memory that the file needs on its way to tiles, before anything is decoded. So a pool
 * of workers can admit many short files at once, and a long one only when there is room.
 *
 * Some files do not state their length: all that ffmpeg decodes, and FLAC from a pipe. Their length is guessed from their size,
 * together with the number of samples that the guess allows. If more samples come, decoding throws NeedsMemory, and the file
 * is tried again with the memory of the longest allowed file. So a small file with hours of silence cannot take more memory
 * than it was given.
 */
import { parseStreamInfo } from '../flac/decode-flac.js';
import { parseWav } from './decode-wav.js';
import type { FeatureSettings } from '../feature-settings.js';
import { MOST_FFMPEG_RATE_HZ } from './ffmpeg-config.js';
import { ffmpegResidentBytes } from './limit-memory.js';
import { filterBytes, MAX_TABLE_VALUES } from '../spectrogram/resample.js';
import { sniffFormat } from './sniff-format.js';

/** Speech is seldom coded with less than 8 kbit/s. */
const LEAST_CODED_BYTES_PER_SEC = 1000;
const FLOAT_BYTES = 4;
/** Blocks of eight channels. The kernel also holds a copy of the file. */
const FLAC_BLOCKS_BYTES = 3e6;
/** The kernel's memory for a part of the spectrogram. */
const KERNEL_BYTES = 5e6;
/** Decoders read a little beyond the longest allowed duration, to see that a file is too long. */
const SPARE_SEC = 2;

type EstimateSettings = Pick<FeatureSettings, 'sampleRateHz' | 'hopLength' | 'rows' | 'maxDurationSec'>;

export interface MemoryEstimate {
  /** Without the bytes of the file. 0 for a file that its header will get refused. */
  bytes: number;
  /** Number of samples up to which the estimate holds; null if the header states the length. */
  allowedSamples: number | null;
}

/** @param guess for a file of unknown length: `usual` guesses from its size, `largest` takes the longest allowed */
export function estimateMemory(bytes: Uint8Array, settings: EstimateSettings, guess: 'usual' | 'largest' = 'usual'): MemoryEstimate {
  const length = lengthOf(bytes);
  if (!length) return { bytes: 0, allowedSamples: null };
  const { rateHz, decoderBytes } = length;
  const longestSec = settings.maxDurationSec + SPARE_SEC;
  const guessedSec = guess === 'largest' ? longestSec : Math.min(longestSec, bytes.length / LEAST_CODED_BYTES_PER_SEC);
  const durationSec = length.durationSec === null ? guessedSec : Math.min(settings.maxDurationSec, length.durationSec);
  const decoded = FLOAT_BYTES * durationSec * rateHz;
  const resampled = FLOAT_BYTES * durationSec * settings.sampleRateHz;
  const filter = length.rateIsKnown ? filterBytes(rateHz, settings.sampleRateHz) : 2 * FLOAT_BYTES * MAX_TABLE_VALUES;
  const frameBytes = (settings.rows * durationSec * settings.sampleRateHz) / settings.hopLength;
  const pictures = 2 * frameBytes + KERNEL_BYTES; // pixels, tiles
  const decoding = decoded + decoderBytes;
  return {
    bytes: Math.round(Math.max(decoding, decoded + resampled + filter, resampled + pictures)),
    allowedSamples: length.durationSec === null && guess === 'usual' ? Math.ceil(guessedSec * rateHz) : null,
  };
}

interface StatedLength {
  /** null if unknown until it is decoded. */
  durationSec: number | null;
  rateHz: number;
  /** False for the highest rate that ffmpeg gives. */
  rateIsKnown: boolean;
  /** Memory of the decoder while it works, without its samples. */
  decoderBytes: number;
}

const CODED: StatedLength = { durationSec: null, rateHz: MOST_FFMPEG_RATE_HZ, rateIsKnown: false, decoderBytes: ffmpegResidentBytes };

function lengthOf(file: Uint8Array): StatedLength | null {
  try {
    const format = sniffFormat(file);
    const bytes = format?.offset === undefined ? file : file.subarray(format.offset);
    switch (format?.family) {
      case undefined:
        return null;
      case 'flac': {
        const { totalSamples, sampleRateHz: rateHz } = parseStreamInfo(bytes);
        return {
          durationSec: totalSamples > 0 ? totalSamples / rateHz : null,
          rateHz,
          rateIsKnown: true,
          decoderBytes: bytes.length + FLAC_BLOCKS_BYTES,
        };
      }
      case 'wav': {
        const { encoding, sampleCount, sampleRateHz: rateHz } = parseWav(bytes);
        return encoding === 'other' ? CODED : { durationSec: sampleCount / rateHz, rateHz, rateIsKnown: true, decoderBytes: 0 };
      }
      case 'ffmpeg':
        return CODED;
    }
  } catch {
    return null; // the decoder will report the error
  }
}
