/**
 * FLAC in process, through @wasm-audio-decoders/flac (libFLAC in wasm). Source: RFC 9639; LibriSpeech, the unlabelled
 * corpus of the paper (Section IV-B), is FLAC.
 *
 * The library is quiet about damage: a frame that is cut or fails its CRC ends the decoding, with no error and fewer
 * samples. STREAMINFO is therefore read here, and the number of samples and the MD5 of the audio must agree with it.
 * It also scales by 2^(bits-1) - 1; the integers are recovered by rounding and scaled by 2^(bits-1), as WAV's are.
 *
 * Does not promise: exact samples above 24 bits (the library gives 32-bit floats), and no MD5 check there; damage in the
 * middle looks like a cut (AUDIO_TRUNCATED), since the decoder stops at it.
 */
import { createHash } from 'node:crypto';
import { FLACDecoder } from '@wasm-audio-decoders/flac';
import { PipelineError } from '#contracts/pipeline-error.js';
import { type DecodedAudio, requireDuration } from './decoded-audio.js';

export interface FlacStreamInfo {
  sampleRateHz: number;
  channels: number;
  bits: number;
  /** Per channel; 0 when the encoder did not know. */
  totalSamples: number;
  /** Of the interleaved little-endian samples, in hex; empty when the encoder left it out. */
  md5: string;
}

/** Compressed bytes given to the decoder at a time: bounds what a file of unknown length can make it hold. */
const BLOCK_BYTES = 1 << 20;

/** @throws AUDIO_NOT_RECOGNISED, AUDIO_UNDECODABLE, AUDIO_TRUNCATED, AUDIO_EMPTY, AUDIO_TOO_LONG */
export async function decodeFlac(bytes: Uint8Array, options: { maxDurationSec: number; decoder: string }): Promise<DecodedAudio> {
  const info = parseStreamInfo(bytes);
  requireDuration(info.totalSamples, info.sampleRateHz, options.maxDurationSec);
  requireFrame(bytes);
  const channels = await decodeChannels(bytes, info, options.maxDurationSec);
  const decoded = channels[0]?.length ?? 0;
  if (decoded < info.totalSamples) {
    throw new PipelineError('AUDIO_TRUNCATED', `${decoded} of ${info.totalSamples} samples could be decoded: cut short or damaged`, {
      context: { decodedSamples: decoded, totalSamples: info.totalSamples },
    });
  }
  if (decoded === 0) throw new PipelineError('AUDIO_EMPTY', 'the FLAC file has no samples');
  if (info.totalSamples > 0 && decoded > info.totalSamples) throw undecodable('more samples than its header says');
  if (info.bits <= 24 && info.md5 !== '' && md5Of(channels, info.bits) !== info.md5) throw undecodable('its MD5 does not match its audio');
  return { samples: mixDown(channels, info.bits), sampleRateHz: info.sampleRateHz, decoder: options.decoder };
}

/** STREAMINFO, always the first metadata block. @throws AUDIO_NOT_RECOGNISED, AUDIO_TRUNCATED, AUDIO_UNDECODABLE */
export function parseStreamInfo(bytes: Uint8Array): FlacStreamInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint32(0) !== 0x664c6143)
    throw new PipelineError('AUDIO_NOT_RECOGNISED', 'not a FLAC file: no fLaC marker');
  if (bytes.length < 42) throw new PipelineError('AUDIO_TRUNCATED', 'the FLAC file ends inside its header');
  if ((view.getUint8(4) & 0x7f) !== 0 || (view.getUint32(4) & 0xffffff) !== 34) throw undecodable('it does not start with STREAMINFO');
  const word = view.getUint32(18); // 20 bits rate, 3 bits channels - 1, 5 bits bits - 1, 4 bits of the total
  const md5 = Buffer.from(bytes.subarray(26, 42)).toString('hex');
  const info = {
    sampleRateHz: word >>> 12,
    channels: ((word >>> 9) & 7) + 1,
    bits: ((word >>> 4) & 31) + 1,
    totalSamples: (word & 15) * 2 ** 32 + view.getUint32(22),
    md5: /^0+$/.test(md5) ? '' : md5,
  };
  if (info.sampleRateHz === 0 || info.bits < 4) throw undecodable(`${info.bits} bits at ${info.sampleRateHz} Hz`);
  return info;
}

/** What follows the metadata must start as a frame does. @throws AUDIO_UNDECODABLE */
function requireFrame(bytes: Uint8Array): void {
  let at = 4;
  let last = false;
  while (!last && at + 4 <= bytes.length) {
    const [kind = 0, high = 0, middle = 0, low = 0] = bytes.subarray(at, at + 4);
    last = kind >= 128;
    at += 4 + ((high << 16) | (middle << 8) | low);
  }
  const cut = at + 2 > bytes.length;
  if (!cut && (bytes[at] !== 0xff || ((bytes[at + 1] as number) & 0xfc) !== 0xf8)) throw undecodable('no frame follows its header');
}

async function decodeChannels(bytes: Uint8Array, info: FlacStreamInfo, maxDurationSec: number): Promise<Float32Array[]> {
  const decoder = new FLACDecoder();
  const parts: Float32Array[][] = [];
  let length = 0;
  try {
    await decoder.ready;
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      const last = at + BLOCK_BYTES >= bytes.length;
      const blocks = [await decoder.decode(bytes.subarray(at, at + BLOCK_BYTES))];
      if (last) blocks.push(await decoder.flush());
      for (const block of blocks) {
        if (block.errors.length > 0) throw undecodable(block.errors[0]?.message ?? 'the decoder found an error');
        if (block.samplesDecoded === 0) continue;
        if (block.channelData.length !== info.channels) throw undecodable('its number of channels changes');
        parts.push(block.channelData);
        length += block.samplesDecoded;
      }
      requireDuration(length, info.sampleRateHz, maxDurationSec);
    }
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    throw new PipelineError('AUDIO_UNDECODABLE', 'a FLAC file that cannot be decoded', { cause: error });
  } finally {
    decoder.free();
  }
  return Array.from({ length: info.channels }, (_, channel) => join(parts, channel, length));
}

function join(parts: Float32Array[][], channel: number, length: number): Float32Array {
  if (parts.length === 1) return parts[0]?.[channel] as Float32Array;
  const whole = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part[channel] as Float32Array, at);
    at += part[channel]?.length ?? 0;
  }
  return whole;
}

function mixDown(channels: Float32Array[], bits: number): Float32Array {
  const length = channels[0]?.length ?? 0;
  const toInteger = 2 ** (bits - 1) - 1;
  const scale = 1 / (2 ** (bits - 1) * channels.length);
  const samples = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let sum = 0;
    for (const channel of channels) sum += Math.round((channel[i] as number) * toInteger);
    samples[i] = sum * scale;
  }
  return samples;
}

function md5Of(channels: Float32Array[], bits: number): string {
  const length = channels[0]?.length ?? 0;
  const toInteger = 2 ** (bits - 1) - 1;
  const width = Math.ceil(bits / 8);
  const interleaved = new Uint8Array(length * channels.length * width);
  let at = 0;
  for (let i = 0; i < length; i++) {
    for (const channel of channels) {
      const value = Math.round((channel[i] as number) * toInteger);
      for (let byte = 0; byte < width; byte++) interleaved[at++] = value >> (8 * byte);
    }
  }
  return createHash('md5').update(interleaved).digest('hex');
}

function undecodable(what: string): PipelineError {
  return new PipelineError('AUDIO_UNDECODABLE', `a FLAC file that cannot be decoded: ${what}`);
}
