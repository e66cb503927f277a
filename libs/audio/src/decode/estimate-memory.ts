/**
 * What a file will take in memory on its way to tiles, told from its header before anything is decoded. So a pool of
 * workers can let many short files in at once and a long one only when there is room.
 *
 * Does not promise a bound for what ffmpeg decodes: its duration and rate are not known before, and guessed from its size.
 */
import { parseStreamInfo } from '../flac/decode-flac.js';
import { parseWav } from './decode-wav.js';
import type { FeatureSettings } from '../feature-settings.js';
import { sniffFormat } from './sniff-format.js';

/** Speech is seldom coded in less than 8 kbit/s, or at more than 48 kHz. */
const LEAST_CODED_BYTES_PER_SEC = 1000;
const USUAL_RATE_HZ = 48_000;
const FLOAT_BYTES = 4;

type EstimateSettings = Pick<FeatureSettings, 'sampleRateHz' | 'hopLength' | 'rows' | 'maxDurationSec'>;

/** @returns bytes, those of the file included; 0 for a file that will be refused by its header */
export function estimateMemory(bytes: Uint8Array, settings: EstimateSettings): number {
  const length = lengthOf(bytes, settings.maxDurationSec);
  if (!length) return 0;
  const durationSec = Math.min(settings.maxDurationSec, length.durationSec);
  const decoded = FLOAT_BYTES * durationSec * length.rateHz;
  const resampled = FLOAT_BYTES * durationSec * settings.sampleRateHz;
  const powerValues = (settings.rows * durationSec * settings.sampleRateHz) / settings.hopLength;
  const pictures = powerValues * (FLOAT_BYTES + 2); // power, pixels, tiles
  return Math.round(Math.max(bytes.length + decoded, decoded + resampled, resampled + pictures));
}

function lengthOf(bytes: Uint8Array, maxDurationSec: number): { durationSec: number; rateHz: number } | null {
  const coded = { durationSec: Math.min(maxDurationSec, bytes.length / LEAST_CODED_BYTES_PER_SEC), rateHz: USUAL_RATE_HZ };
  try {
    switch (sniffFormat(bytes)?.family) {
      case undefined:
        return null;
      case 'flac': {
        const { totalSamples, sampleRateHz: rateHz } = parseStreamInfo(bytes);
        return totalSamples > 0 ? { durationSec: totalSamples / rateHz, rateHz } : { ...coded, rateHz };
      }
      case 'wav': {
        const { encoding, sampleCount, sampleRateHz: rateHz } = parseWav(bytes);
        return encoding === 'other' ? { ...coded, rateHz } : { durationSec: sampleCount / rateHz, rateHz };
      }
      case 'ffmpeg':
        return coded;
    }
  } catch {
    return null; // the decoder will say what is wrong with it
  }
}
