/**
 * Refuses a recording by its beginning, before the rest is read: ten hours of WAV never come into memory.
 *
 * Does not promise to know the duration of what ffmpeg decodes, or of a FLAC whose encoder did not: those are refused
 * while they are decoded.
 */
import { parseStreamInfo } from '../flac/decode-flac.js';
import { findChunks } from './decode-wav.js';
import { requireDuration } from './decoded-audio.js';
import { sniffFormat } from './sniff-format.js';

/** Enough for the header of nearly every file; where it is not, the file is read to find out. */
export const BEGINNING_BYTES = 65_536;

/**
 * @param beginning of a file of `sizeBytes`
 * @throws AUDIO_TOO_LONG; what else is wrong with it, its decoder says
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
    // A length that its writer did not know (0, or the largest) is that of the file.
    const present = sizeBytes - data.offset;
    const bytes = data.size === 0 ? present : Math.min(present, data.size);
    return { samples: Math.floor(bytes / fields.blockAlign), rateHz: fields.sampleRateHz };
  } catch {
    return null;
  }
}
