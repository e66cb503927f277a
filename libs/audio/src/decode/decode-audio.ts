/**
 * Bytes of an audio file to mono samples: WAV and FLAC in process (the same bytes give the same samples everywhere),
 * everything else through ffmpeg. Source: the paper, Section IV-B.
 *
 * Does not promise to look at names: `sniffFormat` decides by content.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { decodeWithFfmpeg } from './decode-ffmpeg.js';
import { decodeFlac, parseStreamInfo } from '../flac/decode-flac.js';
import { decodeWav, parseWav } from './decode-wav.js';
import { type DecodedAudio, requireFinite } from './decoded-audio.js';
import type { FeatureSettings } from '../feature-settings.js';
import { chooseFfmpeg, type FfmpegChoice } from './ffmpeg-config.js';
import { requireRate } from '../spectrogram/resample.js';
import { sniffFormat } from './sniff-format.js';

export interface DecodeOptions extends Pick<FeatureSettings, 'maxDurationSec' | 'decoders'> {
  /** For a decoder in another process. */
  timeoutMs: number;
  /** null: there is none; undefined: looked for once, when first needed. */
  ffmpeg?: FfmpegChoice | null;
}

let found: FfmpegChoice | null | undefined;

/**
 * @throws AUDIO_EMPTY, AUDIO_NOT_RECOGNISED, AUDIO_UNDECODABLE, AUDIO_TRUNCATED, AUDIO_TOO_LONG, AUDIO_NON_FINITE,
 * AUDIO_DECODE_TIMEOUT, DECODER_MISSING
 */
export async function decodeAudio(bytes: Uint8Array, options: DecodeOptions): Promise<DecodedAudio> {
  if (bytes.length === 0) throw new PipelineError('AUDIO_EMPTY', 'the file has no bytes');
  const decoded = await decodeByContent(bytes, options);
  if (decoded.decoder !== options.decoders.flac) requireFinite(decoded.samples); // FLAC holds integers
  return decoded;
}

async function decodeByContent(bytes: Uint8Array, options: DecodeOptions): Promise<DecodedAudio> {
  const { maxDurationSec, timeoutMs, decoders } = options;
  const format = sniffFormat(bytes);
  switch (format?.family) {
    case undefined:
      throw new PipelineError('AUDIO_NOT_RECOGNISED', 'the file begins like no known audio format', {
        context: { sizeBytes: bytes.length },
      });
    case 'flac':
      requireRate(parseStreamInfo(bytes).sampleRateHz); // eight channels at 655 kHz would be decoded for 40 s to be refused then
      return decodeFlac(bytes, { maxDurationSec, decoder: decoders.flac });
    case 'wav':
      if (parseWav(bytes).encoding !== 'other') return decodeWav(bytes, { maxDurationSec, decoder: decoders.wav });
      return decodeWithFfmpeg(bytes, 'wav', { maxDurationSec, timeoutMs, ffmpeg: ffmpegOf(options) });
    case 'ffmpeg':
      return decodeWithFfmpeg(bytes, format.demuxer, { maxDurationSec, timeoutMs, ffmpeg: ffmpegOf(options) });
  }
}

function ffmpegOf({ ffmpeg }: DecodeOptions): FfmpegChoice | null {
  if (ffmpeg !== undefined) return ffmpeg;
  return (found ??= chooseFfmpeg());
}
