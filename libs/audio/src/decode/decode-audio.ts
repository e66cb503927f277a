/**
 * Decodes the bytes of an audio file to mono samples. WAV and FLAC are decoded in process, where the same bytes give the same
 * samples everywhere. All other formats go through ffmpeg. Source: the paper, Section IV-B.
 *
 * Does not look at names: `sniffFormat` decides by content.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { decodeWithFfmpeg } from './decode-ffmpeg.js';
import { decodeFlac, parseStreamInfo } from '../flac/decode-flac.js';
import { decodeWav, parseWav } from './decode-wav.js';
import { type DecodedAudio, requireFinite, requireFormat } from './decoded-audio.js';
import type { FeatureSettings } from '../feature-settings.js';
import { chooseFfmpeg, type FfmpegChoice } from './ffmpeg-config.js';
import { isLfsPointer, sniffFormat } from './sniff-format.js';

export interface DecodeOptions extends Pick<FeatureSettings, 'maxDurationSec' | 'decoders'> {
  /** Time limit of a decoder in another process. */
  timeoutMs: number;
  /** null if there is no ffmpeg; undefined to look for it once, when first needed. */
  ffmpeg?: FfmpegChoice | null;
  /** For a file of unknown length: if more samples come, decoding throws NeedsMemory. Default: any number. */
  allowedSamples?: number;
}

let found: FfmpegChoice | null | undefined;

/**
 * @throws AUDIO_EMPTY, AUDIO_NOT_RECOGNISED, AUDIO_UNDECODABLE, AUDIO_TRUNCATED, AUDIO_TOO_LONG, AUDIO_NON_FINITE,
 * AUDIO_DECODE_TIMEOUT, AUDIO_TOO_LARGE, DECODER_MISSING, DISK_FULL_WAITING; NeedsMemory beyond `allowedSamples`
 */
export async function decodeAudio(bytes: Uint8Array, options: DecodeOptions): Promise<DecodedAudio> {
  if (bytes.length === 0) throw new PipelineError('AUDIO_EMPTY', 'the file is empty');
  const decoded = await decodeByContent(bytes, options);
  if (decoded.decoder !== options.decoders.flac) requireFinite(decoded.samples); // FLAC holds integers
  return decoded;
}

async function decodeByContent(file: Uint8Array, options: DecodeOptions): Promise<DecodedAudio> {
  const { maxDurationSec, timeoutMs, decoders, allowedSamples } = options;
  const format = sniffFormat(file);
  const bytes = format?.offset === undefined ? file : file.subarray(format.offset);
  const throughFfmpeg = (demuxer: string) =>
    decodeWithFfmpeg(bytes, demuxer, { maxDurationSec, timeoutMs, ffmpeg: ffmpegOf(options), allowedSamples });
  switch (format?.family) {
    case undefined:
      throw notRecognised(file);
    case 'flac':
      requireFormat(parseStreamInfo(bytes)); // otherwise eight channels at 655 kHz would be decoded for 40 s and then refused
      return decodeFlac(bytes, { maxDurationSec, decoder: decoders.flac, allowedSamples });
    case 'wav': {
      const header = parseWav(bytes);
      requireFormat(header); // otherwise 2³¹ - 1 samples a second would take memory for each second
      return header.encoding === 'other' ? throughFfmpeg('wav') : decodeWav(bytes, { maxDurationSec, decoder: decoders.wav });
    }
    case 'ffmpeg':
      return throughFfmpeg(format.demuxer);
  }
}

function notRecognised(file: Uint8Array): PipelineError {
  const message = isLfsPointer(file)
    ? 'Git LFS pointer: fetch the content first. The file holds only a reference to the recording. Run `git lfs pull` where the file came from, then put it again.'
    : 'the file does not begin like any known audio format';
  return new PipelineError('AUDIO_NOT_RECOGNISED', message, { context: { sizeBytes: file.length } });
}

function ffmpegOf({ ffmpeg }: DecodeOptions): FfmpegChoice | null {
  if (ffmpeg !== undefined) return ffmpeg;
  return (found ??= chooseFfmpeg());
}
