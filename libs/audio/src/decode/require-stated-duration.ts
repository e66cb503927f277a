/**
 * Refuses a recording that is too long by its beginning, before the rest is read: ten hours of WAV never get into memory.
 *
 * Does not know the duration of formats that ffmpeg decodes, or of a FLAC whose encoder did not know it. Those are refused
 * during decoding.
 */
import { parseStreamInfo } from '../flac/decode-flac.js';
import { findChunks } from './decode-wav.js';
import { requireDuration } from './decoded-audio.js';
import { sniffFormat } from './sniff-format.js';

/** Enough for the header of nearly every file. If a header is longer, the whole file is read. */
export const BEGINNING_BYTES = 65_536;

/**
 * @param beginning first bytes of a file of `sizeBytes`
 * @throws AUDIO_TOO_LONG; the decoder reports all other errors
 */
export function requireStatedDuration(beginning: Uint8Array, sizeBytes: number, maxDurationSec: number): void {
  const stated = statedSamples(beginning, sizeBytes);
  if (stated) requireDuration(stated.samples, stated.rateHz, maxDurationSec);
}

function statedSamples(beginning: Uint8Array, sizeBytes: number): { samples: number; rateHz: number } | null {
  try {
    const format = sniffFormat(beginning);
    if (format?.offset !== undefined) return statedSamples(beginning.subarray(format.offset), sizeBytes - format.offset);
    if (format?.family === 'flac') {
      const { totalSamples, sampleRateHz } = parseStreamInfo(beginning);
      return { samples: totalSamples, rateHz: sampleRateHz };
    }
    if (format?.family !== 'wav') return null;
    const { format: fields, data } = findChunks(new DataView(beginning.buffer, beginning.byteOffset, beginning.byteLength));
    if (!fields || fields.encoding === 'other' || !data) return null;
    // If the writer did not know the length (0, or the largest), the size of the file gives it.
    const present = sizeBytes - data.offset;
    const bytes = data.size === 0 ? present : Math.min(present, data.size);
    return { samples: Math.floor(bytes / fields.blockAlign), rateHz: fields.sampleRateHz };
  } catch {
    return null;
  }
}
