/**
 * The settings that decide a tile's pixels, and their digest. Source: the paper, Section IV-B (25 ms Hamming window, 10 ms
 * shift, 128 rows for 0-11 kHz, width 256). Settings that the paper leaves open have their defaults here and nowhere else.
 *
 * 22 000 Hz makes each of these exact: 25 ms = 550 samples, 10 ms = 220, Nyquist = 11 kHz, 16 kHz * 11/8.
 *
 * The number after `undertone-wav` and `undertone-flac` rises with any change on the way from bytes to pixels, the kernel
 * included. 2 is the first with the kernel. 3 of WAV is the first that reads contradictory headers as other decoders do.
 *
 * Does not promise equal pixels from different versions of ffmpeg. That is why `decoders.other` is part of the digest.
 */
import { createHash } from 'node:crypto';
import { PipelineError } from '#contracts/pipeline-error.js';
import { mostTileBytes, mostTileFrames } from '#contracts/tile-size.js';
import { ffmpegDecoder } from './decode/ffmpeg-config.js';
import { melBank } from './spectrogram/mel-bank.js';
import type { SilenceProfile } from '#contracts/labels.js';

export const silenceMethods = ['energy', 'top-db', 'webrtc', 'silero'] as const;

export interface FeatureSettings {
  /** Rate to which all audio is converted before the spectrogram. */
  sampleRateHz: number;
  /** Samples in one window, at `sampleRateHz`. */
  winLength: number;
  /** Samples from one frame to the next. */
  hopLength: number;
  /** A power of two. The window lies in its middle, with zeros on both sides. */
  fftSize: number;
  /** Rows of a tile. Bins 1..fftSize/2 are averaged in groups of fftSize/2/rows. */
  rows: number;
  /** `linear`: equal bands, as in the paper; `mel`: the filters of mel-bank.ts. */
  scale: 'linear' | 'mel';
  /** Meaning of pixel 255: the loudest row of the utterance, or a full-scale sine in one bin (keeps loudness). */
  reference: 'utterance' | 'full-scale';
  /** Meaning of pixel 0, in dB below the reference. */
  floorDb: number;
  /** Frames of a tile. */
  width: number;
  /** `tiles`: one after another; `centre`: one crop from the middle. */
  layout: 'tiles' | 'centre';
  /**
   * Share of a tile that must be speech, from 0 to 1. A tile with less is left out if the utterance has a better one. Absent in
   * old settings, which keep every tile.
   */
  minSpeechShare?: number;
  /** Rows that reach this frequency are set to 0, so that empty rows do not reveal the corpus; null keeps all rows. */
  bandLimitHz: number | null;
  /** Detector that tells speech from silence, if a corpus's profile cuts any. */
  silenceMethod: (typeof silenceMethods)[number];
  /** For `top-db`: frames further below the loudest frame are silence. */
  silenceTopDb: number;
  /** Longer audio is refused with AUDIO_TOO_LONG. */
  maxDurationSec: number;
  /** Names and versions of the decoders of WAV, FLAC and everything else (null: only WAV and FLAC). */
  decoders: { wav: string; flac: string; other: string | null };
}

export const defaultFeatureSettings: Readonly<FeatureSettings> = Object.freeze({
  sampleRateHz: 22_000,
  winLength: 550,
  hopLength: 220,
  fftSize: 1024,
  rows: 128,
  scale: 'linear',
  reference: 'utterance',
  floorDb: -80,
  width: 256,
  layout: 'tiles',
  minSpeechShare: 0.1,
  bandLimitHz: 8_000,
  silenceMethod: 'energy',
  silenceTopDb: 40,
  maxDurationSec: 600,
  decoders: Object.freeze({ wav: 'undertone-wav 3', flac: 'undertone-flac 2', other: null }),
});

const LARGEST_FFT_SIZE = 65_536;

/** The decoders of this process, as its feature settings name them. @param ffmpeg null if there is none */
export const decodersWith = (ffmpeg: { version: string } | null): FeatureSettings['decoders'] => ({
  ...defaultFeatureSettings.decoders,
  other: ffmpeg ? ffmpegDecoder(ffmpeg) : null,
});

/** The defaults with some changes. @throws SETTINGS_INVALID */
export function featureSettings(changes: Partial<FeatureSettings> = {}): FeatureSettings {
  const settings = { ...defaultFeatureSettings, ...changes };
  validateSettings(settings);
  return settings;
}

/** @throws SETTINGS_INVALID with the name of the first invalid setting */
export function validateSettings(settings: FeatureSettings): void {
  const { sampleRateHz, winLength, hopLength, fftSize, rows, floorDb, width, bandLimitHz, maxDurationSec } = settings;
  const whole = { sampleRateHz, winLength, hopLength, fftSize, rows, width };
  for (const [name, value] of Object.entries(whole)) {
    if (!Number.isInteger(value) || value < 1) refuse(name, `must be a whole number above 0, not ${value}`);
  }
  if (fftSize < 16 || (fftSize & (fftSize - 1)) !== 0) refuse('fftSize', `must be a power of two from 16 on, not ${fftSize}`);
  if (winLength > fftSize) refuse('winLength', `${winLength} does not fit in fftSize ${fftSize}`);
  if (fftSize > LARGEST_FFT_SIZE) refuse('fftSize', `must be at most ${LARGEST_FFT_SIZE}, not ${fftSize}`);
  // Before the filters are made: of a number that somebody mistyped, they would take all memory.
  if (rows > fftSize / 2) refuse('rows', `must be at most the ${fftSize / 2} bins, not ${rows}`);
  if (width > mostTileFrames) refuse('width', `must be at most ${mostTileFrames} frames, not ${width}`);
  if (rows * width > mostTileBytes) refuse('width', `a tile may have at most ${mostTileBytes} pixels, not ${rows} rows of ${width}`);
  requireOneOf('scale', settings.scale, ['linear', 'mel']);
  if (settings.scale === 'linear' && (fftSize / 2) % rows !== 0) refuse('rows', `${rows} does not divide the ${fftSize / 2} bins evenly`);
  if (settings.scale === 'mel' && melBank(settings).some(({ weights }) => !weights.some((weight) => weight > 0)))
    refuse('rows', `${rows} is too many: a mel filter would lie between two bins. Take fewer, or a larger fftSize.`);
  if (!(floorDb < 0 && floorDb >= -200)) refuse('floorDb', `must lie from -200 to below 0, not ${floorDb}`);
  if (bandLimitHz !== null && !(bandLimitHz > 0)) refuse('bandLimitHz', `must be above 0 or null, not ${bandLimitHz}`);
  if (!(maxDurationSec > 0)) refuse('maxDurationSec', `must be above 0, not ${maxDurationSec}`);
  const { minSpeechShare = 0 } = settings;
  if (!(minSpeechShare >= 0 && minSpeechShare <= 1)) refuse('minSpeechShare', `must lie from 0 to 1, not ${minSpeechShare}`);
  requireOneOf('reference', settings.reference, ['utterance', 'full-scale']);
  if (!(settings.silenceTopDb > 0)) refuse('silenceTopDb', `must be above 0, not ${settings.silenceTopDb}`);
  requireOneOf('silenceMethod', settings.silenceMethod, silenceMethods);
  requireOneOf('layout', settings.layout, ['tiles', 'centre']);
}

/** Bytes of one tile. */
export function tileSizeBytes(settings: Pick<FeatureSettings, 'rows' | 'width'>): number {
  return settings.rows * settings.width;
}

/**
 * First 16 hex digits of SHA-256 over the settings as JSON with sorted keys, together with the silence profile. The profile
 * is null if one digest stands for utterances of several profiles, as in a shard.
 */
export function settingsHash(settings: FeatureSettings, silenceProfile: SilenceProfile | null): string {
  return createHash('sha256')
    .update(canonicalJson({ ...settings, silenceProfile }))
    .digest('hex')
    .slice(0, 16);
}

/** JSON with the keys of every object in code-unit order, so that equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

function requireOneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) refuse(name, `must be one of ${allowed.join(', ')}, not ${value}`);
}

function refuse(name: string, complaint: string): never {
  throw new PipelineError('SETTINGS_INVALID', `${name} ${complaint}`, { context: { setting: name } });
}
