/**
 * Decodes FLAC in process, without a library. Source: RFC 9639. LibriSpeech, the unlabelled corpus of the paper (Section
 * IV-B), is FLAC. This file reads the metadata, checks the whole stream against STREAMINFO (length, MD5) and mixes down to
 * mono. `flac-frames.ts` decodes the frames.
 *
 * Accepts every stream of the RFC: 4 to 32 bits, 1 to 8 channels, fixed and variable block sizes, an ID3v2 tag in front.
 * It skips all metadata but STREAMINFO, and everything after the last sample that STREAMINFO counts.
 *
 * Saves nothing of a damaged file: one bad frame refuses the file. Cannot tell a cut from the end if the length is unknown
 * (0), the MD5 is unknown too, and the cut lies between two frames.
 */
import { createHash, type Hash } from 'node:crypto';
import { PipelineError } from '#contracts/pipeline-error.js';
import { type DecodedAudio, requireDuration } from '../decode/decoded-audio.js';
import { FlacFrames } from './flac-frames.js';
import { GrowingSamples } from '../growing-samples.js';
import { sizeOfId3 } from '../decode/sniff-format.js';

export interface FlacStreamInfo {
  sampleRateHz: number;
  channels: number;
  bits: number;
  /** Samples per channel; 0 if the encoder did not know. */
  totalSamples: number;
  /** MD5 of the interleaved little-endian samples, in hex; empty if the encoder left it out. */
  md5: string;
}

/** Initial memory for samples, per byte of the file. Speech at 16 bits needs about one; silence needs more, and gets it. */
const SAMPLES_PER_BYTE = 2;

export interface FlacOptions {
  maxDurationSec: number;
  decoder: string;
  /** For a STREAMINFO without a length: more samples throw NeedsMemory. */
  allowedSamples?: number;
}

/** @throws AUDIO_NOT_RECOGNISED, AUDIO_UNDECODABLE, AUDIO_TRUNCATED, AUDIO_EMPTY, AUDIO_TOO_LONG; NeedsMemory beyond `allowedSamples` */
export async function decodeFlac(bytes: Uint8Array, options: FlacOptions): Promise<DecodedAudio> {
  const info = parseStreamInfo(bytes);
  const { sampleRateHz, totalSamples } = info;
  requireDuration(totalSamples, sampleRateHz, options.maxDurationSec);
  const frames = new FlacFrames(bytes, firstFrameOffset(bytes), info);
  // Memory grows with the decoded samples, not with the length in the header.
  const allowed = totalSamples === 0 ? options.allowedSamples : undefined;
  const mono = new GrowingSamples(bytes.length * SAMPLES_PER_BYTE, totalSamples || Number.MAX_SAFE_INTEGER, allowed);
  const md5 = info.md5 === '' ? null : createHash('md5');
  while (totalSamples > 0 ? mono.length < totalSamples && !frames.ended : !frames.ended) {
    const blockSize = frames.decodeNext();
    requireDuration(frames.sampleCount, sampleRateHz, options.maxDurationSec);
    mono.reserve(blockSize);
    frames.mixDown(blockSize, mono.samples, mono.length);
    mono.length += blockSize;
    if (md5) addInterleaved(md5, frames.blocks, { blockSize, bits: info.bits });
  }
  requireAllSamples(frames, totalSamples);
  if (md5 && md5.digest('hex') !== info.md5) throw undecodable(`the MD5 of its ${frames.frame} frames differs from that in its header`);
  return { samples: mono.finish(), sampleRateHz, decoder: options.decoder };
}

/** Reads STREAMINFO, always the first metadata block. @throws AUDIO_NOT_RECOGNISED, AUDIO_TRUNCATED, AUDIO_UNDECODABLE */
export function parseStreamInfo(bytes: Uint8Array): FlacStreamInfo {
  const at = sizeOfId3(bytes);
  if (bytes.length < at + 4 || viewOf(bytes).getUint32(at) !== 0x664c6143)
    throw new PipelineError('AUDIO_NOT_RECOGNISED', 'not a FLAC file: no fLaC marker');
  if (bytes.length < at + 42) throw endsInHeader();
  const view = viewOf(bytes.subarray(at, at + 42));
  if ((view.getUint8(4) & 0x7f) !== 0 || (view.getUint32(4) & 0xffffff) !== 34) throw undecodable('it does not start with STREAMINFO');
  const word = view.getUint32(18); // 20 bits rate, 3 bits channels - 1, 5 bits bits - 1, 4 bits of the total
  const md5 = Buffer.from(bytes.subarray(at + 26, at + 42)).toString('hex');
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

/** Skips all metadata blocks: one bit for "last", seven of kind, 24 of length. @throws AUDIO_TRUNCATED, AUDIO_UNDECODABLE */
function firstFrameOffset(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  let at = sizeOfId3(bytes) + 4;
  for (let last = false; !last; ) {
    if (at + 4 > bytes.length) throw endsInHeader();
    const word = view.getUint32(at);
    if (((word >>> 24) & 127) === 127) throw undecodable('a metadata block has a forbidden kind');
    last = word >>> 31 === 1;
    at += 4 + (word & 0xffffff);
  }
  if (at > bytes.length) throw endsInHeader();
  return at;
}

function requireAllSamples(frames: FlacFrames, totalSamples: number): void {
  const decoded = frames.sampleCount;
  const tooMany = totalSamples > 0 && (decoded > totalSamples || frames.startsFrame);
  if (tooMany) throw undecodable(`it holds more than the ${totalSamples} samples of its header, by frame ${frames.frame}`);
  if (decoded < totalSamples) {
    throw new PipelineError('AUDIO_TRUNCATED', `the FLAC file ends after ${decoded} of ${totalSamples} samples`, {
      context: { decodedSamples: decoded, totalSamples },
    });
  }
  if (decoded === 0) throw new PipelineError('AUDIO_EMPTY', 'the FLAC file has no samples');
}

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Used again for each block, because garbage of blocks would take 64 MB. */
let scratch = new ArrayBuffer(0);

function scratchOf(sizeBytes: number): ArrayBuffer {
  if (scratch.byteLength < sizeBytes) scratch = new ArrayBuffer(sizeBytes);
  return scratch;
}

/** Adds all channels, sample by sample, as whole bytes with the lowest first. */
function addInterleaved(md5: Hash, blocks: Int32Array[], { blockSize, bits }: { blockSize: number; bits: number }): void {
  if (bits === 16 && littleEndian) {
    const count = blockSize * blocks.length;
    const words = new Int16Array(scratchOf(2 * count), 0, count);
    if (blocks.length === 1) words.set((blocks[0] as Int32Array).subarray(0, blockSize));
    else
      for (const [channel, block] of blocks.entries())
        for (let i = 0, at = channel; i < blockSize; i++, at += blocks.length) words[at] = block[i] as number;
    md5.update(words);
    return;
  }
  const width = Math.ceil(bits / 8);
  const stride = width * blocks.length;
  const bytes = new Uint8Array(scratchOf(blockSize * stride), 0, blockSize * stride);
  for (let channel = 0; channel < blocks.length; channel++) {
    const block = blocks[channel] as Int32Array;
    for (let i = 0, at = channel * width; i < blockSize; i++, at += stride) {
      let rest = block[i] as number;
      for (let byte = at; byte < at + width; byte++, rest >>= 8) bytes[byte] = rest;
    }
  }
  md5.update(bytes);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function endsInHeader(): PipelineError {
  return new PipelineError('AUDIO_TRUNCATED', 'the FLAC file ends inside its header');
}

function undecodable(what: string): PipelineError {
  return new PipelineError('AUDIO_UNDECODABLE', `a FLAC file that cannot be decoded: ${what}`);
}
