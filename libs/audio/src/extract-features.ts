/**
 * Turns one audio file into tiles. Source: the paper, Section IV-B. The steps: decode, subtract the mean (an offset of 0.02
 * alone changes a fifth of the pixels), cut silence at the rate of the source, resample, spectrogram, tiles.
 *
 * Each array is released as soon as the next one exists. At most two exist at a time: the samples with the bytes that they
 * were decoded from, or the samples with their resampled copy. `estimateMemory` says how much that is.
 *
 * Delivery: pure. The same bytes and settings give the same tile bytes, so doing it twice does no harm.
 *
 * For formats that ffmpeg decodes, this holds only with the same version of ffmpeg.
 */
import type { SilenceProfile } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { decodeAudio } from './decode/decode-audio.js';
import { sumOf } from './decode/decoded-audio.js';
import { type KeptAudio, type TileTime, tileTimes } from './tile-times.js';
import type { FeatureSettings } from './feature-settings.js';
import type { FfmpegChoice } from './decode/ffmpeg-config.js';
import { release } from './growing-samples.js';
import { resample } from './spectrogram/resample.js';
import { speechDetector } from './silence/silence-methods.js';
import { type Spectrogram, spectrogram } from './spectrogram/spectrogram.js';
import { type CutTiles, cutTiles, cutWindows, type SpeechFrames, type Tiles } from './spectrogram/tiles.js';
import { keepRanges, type KeptRange, type SilenceCut, type SpeechDetector, trimSilence } from './silence/trim-silence.js';

/** -70 dBFS */
const SILENT_PEAK = 10 ** (-70 / 20);

export interface ExtractOptions {
  silence: SilenceProfile;
  /** Time limit of ffmpeg; `maxDurationSec` bounds WAV and FLAC. Default 30 000. */
  timeoutMs?: number;
  /** null if there is no ffmpeg; undefined to look for it when first needed. */
  ffmpeg?: FfmpegChoice | null;
  /** Folder with the packages of the silence method `silero`; undefined for this package's own. */
  sileroDir?: string;
  /** For a file of unknown length: if more samples come, it throws NeedsMemory and leaves the bytes unchanged. */
  allowedSamples?: number;
  /** True if nobody else needs the bytes or the buffer around them: they are released once decoded. */
  ownsBytes?: boolean;
  onDecoded?: () => void;
  /** Also cut tiles that begin this often, for an answer over time. */
  windowsEverySec?: number;
}

export interface ExtractedFeatures extends CutTiles {
  /** Time of each tile in the recording. */
  times: TileTime[];
  /** Only with `windowsEverySec`. */
  windows?: Tiles & { times: TileTime[] };
  /** Number of frames of the spectrogram, before it was cut into tiles. */
  frames: number;
  /** Duration of the file. */
  audioSec: number;
  /** After silence was cut. */
  keptSec: number;
  cut: SilenceCut;
  /** Rate of the source. */
  sampleRateHz: number;
  decoder: string;
  /** A fault of the file that did not change its sound. */
  remark?: string;
}

/** @throws AUDIO_SILENT, AUDIO_TOO_SHORT, PREREQUISITE_MISSING, and all errors of `decodeAudio` */
export async function extractFeatures(bytes: Uint8Array, settings: FeatureSettings, options: ExtractOptions): Promise<ExtractedFeatures> {
  const { maxDurationSec, decoders } = settings;
  const { ffmpeg, timeoutMs = 30_000, ownsBytes = false, allowedSamples } = options;
  const decodeOptions = { maxDurationSec, decoders, timeoutMs, ffmpeg, allowedSamples };
  const { samples, sampleRateHz, decoder, remark } = await decodeAudio(bytes, decodeOptions);
  if (ownsBytes) release(bytes);
  options.onDecoded?.();
  const { length } = samples;
  subtractMean(samples);
  requireLongEnough(length, sampleRateHz, settings);
  requireLoudEnough(samples);
  const detect = once(await speechDetector(settings, options.sileroDir));
  const { kept, cut } = await trimSilence(samples, sampleRateHz, options.silence, detect);
  if (kept.length === 0) throw new PipelineError('AUDIO_SILENT', 'no part of the audio is loud enough to be speech');
  const runs = settings.minSpeechShare ? await detect(samples, sampleRateHz) : undefined;
  const speech = keepRanges(samples, kept);
  const keptSec = speech.length / sampleRateHz;
  requireLongEnough(speech.length, sampleRateHz, settings);
  const resampled = resample(speech, sampleRateHz, settings.sampleRateHz);
  if (resampled !== speech) release(samples);
  const picture = spectrogram(resampled, settings);
  release(resampled);
  const framesPerSample = settings.sampleRateHz / settings.hopLength / sampleRateHz;
  const audio = { kept, sampleRateHz, framesPerSample };
  const cutting = cutTiles(picture, settings, runs && speechFrames(runs, kept, framesPerSample));
  return {
    ...cutting,
    times: tileTimes(cutting.starts, settings.width, audio),
    windows: windowsOf(picture, settings, { everySec: options.windowsEverySec, audio }),
    frames: picture.frames,
    audioSec: length / sampleRateHz,
    keptSec,
    cut,
    sampleRateHz,
    decoder,
    remark,
  };
}

function windowsOf(
  picture: Spectrogram,
  settings: FeatureSettings,
  { everySec, audio }: { everySec: number | undefined; audio: KeptAudio },
): ExtractedFeatures['windows'] {
  if (everySec === undefined) return undefined;
  const hopFrames = Math.max(1, Math.round((everySec * settings.sampleRateHz) / settings.hopLength));
  const { tiles, count, starts } = cutWindows(picture, settings, hopFrames);
  return { tiles, count, times: tileTimes(starts, settings.width, audio) };
}

/** Runs the detector once: the cut of silence and the choice of tiles ask for the runs of the same samples. */
function once(detect: SpeechDetector): SpeechDetector {
  let runs: ReturnType<SpeechDetector> | undefined;
  return (samples, sampleRateHz) => (runs ??= detect(samples, sampleRateHz));
}

/** Converts runs of speech in the file to frames of the spectrogram, which has only the kept samples. */
function speechFrames(runs: readonly KeptRange[], kept: readonly KeptRange[], framesPerSample: number): SpeechFrames[] {
  const frames: SpeechFrames[] = [];
  let keptBefore = 0;
  for (const { start, end } of kept) {
    for (const run of runs) {
      const [from, to] = [Math.max(run.start, start), Math.min(run.end, end)];
      if (from < to)
        frames.push({ start: (keptBefore + from - start) * framesPerSample, end: (keptBefore + to - start) * framesPerSample });
    }
    keptBefore += end - start;
  }
  return frames;
}

/** Works in place. */
export function subtractMean(samples: Float32Array): void {
  const mean = sumOf(samples) / samples.length;
  for (let i = 0; i < samples.length; i++) samples[i] = (samples[i] as number) - mean;
}

function requireLongEnough(sampleCount: number, rateHz: number, { sampleRateHz, winLength }: FeatureSettings): void {
  const resampled = Math.ceil((sampleCount * sampleRateHz) / rateHz);
  if (resampled < winLength) {
    throw new PipelineError('AUDIO_TOO_SHORT', `${((1000 * sampleCount) / rateHz).toFixed(1)} ms of audio are shorter than one window`, {
      context: { sampleCount, sampleRateHz: rateHz },
    });
  }
}

function requireLoudEnough(samples: Float32Array): void {
  // In nearly every file, one of the first samples decides.
  if (samples.some((sample) => sample >= SILENT_PEAK || sample <= -SILENT_PEAK)) return;
  const peak = samples.reduce((highest, sample) => Math.max(highest, Math.abs(sample)), 0);
  const level = peak === 0 ? 'digital silence' : `its peak is ${(20 * Math.log10(peak)).toFixed(0)} dBFS`;
  throw new PipelineError('AUDIO_SILENT', `the audio is silent: ${level}`, { context: { peak } });
}
