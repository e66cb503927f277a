/**
 * Writes samples as WAV bytes, for synthetic speech and for tests without files. Source: the RIFF/WAVE specification.
 *
 * Does not dither: integers are rounded and clipped.
 */
export interface EncodeWavOptions {
  sampleRateHz: number;
  /** Default 16. Integers have 8, 16, 24 or 32 bits; with `float`, floats have 32 or 64. */
  bits?: 8 | 16 | 24 | 32 | 64;
  float?: boolean;
}

/** @param channels arrays of equal length, with values in [-1, 1) */
export function encodeWav(channels: readonly Float32Array[], { sampleRateHz, bits = 16, float = false }: EncodeWavOptions): Uint8Array {
  const length = channels[0]?.length ?? 0;
  const width = bits / 8;
  const blockAlign = width * channels.length;
  const dataBytes = length * blockAlign;
  const bytes = new Uint8Array(44 + dataBytes + (dataBytes % 2));
  const view = new DataView(bytes.buffer);
  writeText(bytes, 0, 'RIFF');
  view.setUint32(4, bytes.length - 8, true);
  writeText(bytes, 8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, float ? 3 : 1, true);
  view.setUint16(22, channels.length, true);
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, sampleRateHz * blockAlign, true);
  view.setUint16(32, blockAlign, true);
  view.setUint16(34, bits, true);
  writeText(bytes, 36, 'data');
  view.setUint32(40, dataBytes, true);
  let at = 44;
  for (let i = 0; i < length; i++) {
    for (const channel of channels) {
      writeSample(view, at, channel[i] as number, { bits, float });
      at += width;
    }
  }
  return bytes;
}

function writeSample(view: DataView, at: number, value: number, { bits, float }: { bits: number; float: boolean }): void {
  if (float) {
    if (bits === 64) view.setFloat64(at, value, true);
    else view.setFloat32(at, value, true);
    return;
  }
  const full = 2 ** (bits - 1);
  const integer = Math.max(-full, Math.min(full - 1, Math.round(value * full)));
  if (bits === 8) view.setUint8(at, integer + 128);
  else if (bits === 16) view.setInt16(at, integer, true);
  else if (bits === 32) view.setInt32(at, integer, true);
  else {
    view.setUint16(at, integer & 0xffff, true);
    view.setInt8(at + 2, integer >> 16);
  }
}

function writeText(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}
