/**
 * Decodes WAV in process: RIFF and RF64/BW64; PCM of 8, 16, 24 and 32 bits, floats of 32 and 64, plain or
 * WAVE_FORMAT_EXTENSIBLE. Source: the RIFF/WAVE specification and EBU Tech 3306 (RF64). All corpora of the paper but one
 * (Section IV-B) are WAV.
 *
 * A data chunk that states more samples than the file holds is AUDIO_TRUNCATED, with two exceptions. Writers to a pipe leave a
 * length of 0, or of 0x7FFFF000 and above: then the samples go to the end of the file. Some writers state a length that is too
 * large by up to a header, while the RIFF chunk ends exactly with the file: then the sound is whole, and a remark says so.
 *
 * Header fields that contradict each other are read as libsndfile, ffmpeg and sox read them, and refused if these three
 * differ. `test/golden/audio/make-wav-headers.py` compares them. All three take the size of a sample from its bits alone.
 *
 * Does not decode compressed WAV (A-law, ADPCM, ...). `parseWav` reports it with `encoding: 'other'`, and `decodeAudio` gives
 * it to ffmpeg.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { type DecodedAudio, requireDuration, requireFormat } from './decoded-audio.js';

const FORMAT_PCM = 1;
const FORMAT_FLOAT = 3;
const FORMAT_EXTENSIBLE = 0xfffe;
/** Streaming writers (sox, ffmpeg, GStreamer) write such a length in place of one that they do not know. */
const STREAMING_LENGTH_FROM = 0x7ffff000;

export interface WavHeader {
  encoding: 'pcm' | 'float' | 'other';
  channels: number;
  sampleRateHz: number;
  /** Size of one sample of one channel, as stored. */
  bytesPerSample: number;
  dataOffset: number;
  /** Number of samples per channel that the file holds. */
  sampleCount: number;
  remark?: string;
}

/** @throws AUDIO_NOT_RECOGNISED, AUDIO_UNDECODABLE, AUDIO_TRUNCATED, AUDIO_EMPTY, AUDIO_TOO_LONG */
export function decodeWav(bytes: Uint8Array, options: { maxDurationSec: number; decoder: string }): DecodedAudio {
  const header = parseWav(bytes);
  if (header.encoding === 'other') throw undecodable('neither PCM nor float');
  requireFormat(header);
  requireDuration(header.sampleCount, header.sampleRateHz, options.maxDurationSec);
  const samples = new Float32Array(header.sampleCount);
  readMono(bytes, header, samples);
  return { samples, sampleRateHz: header.sampleRateHz, decoder: options.decoder, remark: header.remark };
}

/** Reads the header and checks it against the bytes present. @throws the errors of `decodeWav`, except AUDIO_TOO_LONG */
export function parseWav(bytes: Uint8Array): WavHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const form = bytes.length >= 12 ? fourCc(view, 0) : '';
  if (!['RIFF', 'RF64', 'BW64'].includes(form) || fourCc(view, 8) !== 'WAVE') {
    throw new PipelineError('AUDIO_NOT_RECOGNISED', 'not a WAV file: no RIFF/WAVE header');
  }
  const { format, data, longDataSize } = findChunks(view);
  if (!format) throw undecodable('no fmt chunk');
  if (!data) throw new PipelineError('AUDIO_EMPTY', 'the WAV file has no data chunk');

  const present = bytes.length - data.offset;
  const formEnd = 8 + view.getUint32(4, true);
  const declared = form === 'RIFF' ? data.size : data.size === 0xffffffff ? (longDataSize ?? 0) : data.size;
  const honestlyEmpty = declared === 0 && formEnd === bytes.length;
  const streamed = !honestlyEmpty && (declared === 0 || (form === 'RIFF' && declared >= STREAMING_LENGTH_FROM));
  const { blockAlign, ...rest } = format;
  const surplus = declared - present;
  const overstated = !streamed && form === 'RIFF' && formEnd === bytes.length && surplus > 0 && surplus <= data.offset;
  const declaredSamples = Math.floor((streamed || overstated ? present : declared) / blockAlign);
  const sampleCount = Math.min(declaredSamples, Math.floor(present / blockAlign));
  if (sampleCount < declaredSamples) {
    throw new PipelineError('AUDIO_TRUNCATED', `the header states ${declaredSamples} samples, but the file holds ${sampleCount}`, {
      context: { declaredSamples, sampleCount },
    });
  }
  if (sampleCount === 0) throw new PipelineError('AUDIO_EMPTY', 'the WAV file has no samples');
  const header = { ...rest, dataOffset: data.offset, sampleCount };
  return overstated ? { ...header, remark: `its data chunk states ${surplus} bytes more than the file has; its sound is whole` } : header;
}

export type WavFormat = Pick<WavHeader, 'encoding' | 'channels' | 'sampleRateHz' | 'bytesPerSample'> & { blockAlign: number };

/** Reads a whole file or its beginning. @throws AUDIO_UNDECODABLE, AUDIO_TRUNCATED */
export function findChunks(view: DataView): { format?: WavFormat; data?: { offset: number; size: number }; longDataSize?: number } {
  let format: WavFormat | undefined;
  let data: { offset: number; size: number } | undefined;
  let longDataSize: number | undefined;
  let at = 12;
  while (at + 8 <= view.byteLength && !(format && data)) {
    const id = fourCc(view, at);
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (id === 'fmt ') format = readFormat(view, body, size);
    else if (id === 'ds64' && body + 16 <= view.byteLength) longDataSize = Number(view.getBigUint64(body + 8, true));
    else if (id === 'data') data = { offset: body, size };
    at = body + size + (size % 2); // chunks start at even offsets
  }
  return { format, data, longDataSize };
}

function readFormat(view: DataView, at: number, size: number): WavFormat {
  if (size < 16) throw undecodable(`a fmt chunk of ${size} bytes`);
  if (at + size > view.byteLength) throw new PipelineError('AUDIO_TRUNCATED', 'the WAV file ends inside its fmt chunk');
  const extensible = view.getUint16(at, true) === FORMAT_EXTENSIBLE && size >= 40;
  // The sub-format GUID of an extensible header starts with the plain tag.
  const tag = view.getUint16(extensible ? at + 24 : at, true);
  const channels = view.getUint16(at + 2, true);
  const sampleRateHz = view.getUint32(at + 4, true);
  const blockAlign = view.getUint16(at + 12, true);
  const bits = view.getUint16(at + 14, true);
  if (channels === 0 || sampleRateHz === 0) throw undecodable(`${channels} channels at ${sampleRateHz} Hz`);

  const encoding = tag === FORMAT_PCM ? 'pcm' : tag === FORMAT_FLOAT ? 'float' : 'other';
  if (encoding === 'other') return { encoding, channels, sampleRateHz, bytesPerSample: 1, blockAlign: Math.max(1, blockAlign) };
  // Samples with fewer bits than their bytes hold are left-justified, so only the bytes count.
  const bytesPerSample = Math.ceil(bits / 8);
  const known = encoding === 'pcm' ? [8, 16, 24, 32] : [32, 64];
  const roundBits = bytesPerSample * 8;
  if (!known.includes(roundBits) || (encoding === 'float' && roundBits !== bits)) {
    throw undecodable(`${encoding} of ${bits} bits is not supported; supported are ${known.join(', ')} bits`);
  }
  const fields = { encoding, channels, blockAlign, bits, validBits: extensible ? view.getUint16(at + 18, true) : bits } as const;
  requireAgreement(fields);
  return { encoding, channels, sampleRateHz, bytesPerSample, blockAlign: bytesPerSample * channels };
}

interface FormatFields {
  encoding: 'pcm' | 'float';
  channels: number;
  blockAlign: number;
  bits: number;
  /** From an extensible header; its writer may leave 0. */
  validBits: number;
}

/** Refuses the two contradictions that the reference decoders read differently. @throws AUDIO_UNDECODABLE */
function requireAgreement({ encoding, channels, blockAlign, bits, validBits }: FormatFields): void {
  if (encoding === 'pcm' && bits === 24 && blockAlign === 4 * channels) {
    throw undecodable(
      `wBitsPerSample says 24 and nBlockAlign says ${blockAlign}, four bytes a sample: some decoders read three, others four. Save the file again with nBlockAlign ${3 * channels}.`,
    );
  }
  if (validBits === 0 || validBits === bits) return;
  const contained = bits % 8 === 0 && blockAlign === (channels * bits) / 8 && validBits < bits;
  if (encoding === 'pcm' && (contained || Math.ceil(validBits / 8) === Math.ceil(bits / 8))) return;
  throw undecodable(
    `wBitsPerSample says ${bits} and wValidBitsPerSample says ${validBits}: decoders differ on which to use. Save the file again with both equal.`,
  );
}

/** @param samples receives `sampleCount` values, each the mean of the channels */
export function readMono(bytes: Uint8Array, header: WavHeader, samples: Float32Array): void {
  const { channels, bytesPerSample, dataOffset, sampleCount, encoding } = header;
  const view = new DataView(bytes.buffer, bytes.byteOffset + dataOffset, sampleCount * channels * bytesPerSample);
  const read = reader(view, encoding === 'float', bytesPerSample);
  if (channels === 1) {
    for (let i = 0, at = 0; i < sampleCount; i++, at += bytesPerSample) samples[i] = read(at);
    return;
  }
  for (let i = 0, at = 0; i < sampleCount; i++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++, at += bytesPerSample) sum += read(at);
    samples[i] = sum / channels;
  }
}

/** Reads the value at a byte offset; integers give [-1, 1). 8-bit samples are unsigned, all others signed. */
function reader(view: DataView, float: boolean, bytesPerSample: number): (at: number) => number {
  if (float) return bytesPerSample === 4 ? (at) => view.getFloat32(at, true) : (at) => view.getFloat64(at, true);
  switch (bytesPerSample) {
    case 1:
      return (at) => (view.getUint8(at) - 128) / 128;
    case 2:
      return (at) => view.getInt16(at, true) / 32_768;
    case 3:
      return (at) => (view.getUint16(at, true) | (view.getInt8(at + 2) << 16)) / 8_388_608;
    default:
      return (at) => view.getInt32(at, true) / 2_147_483_648;
  }
}

function fourCc(view: DataView, at: number): string {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
}

function undecodable(what: string): PipelineError {
  return new PipelineError('AUDIO_UNDECODABLE', `a WAV file that cannot be decoded: ${what}`);
}
