import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encodeWav } from './encode-wav.js';
import { BEGINNING_BYTES, requireStatedDuration } from './require-stated-duration.js';

const LIMIT_SEC = 10;
const check = (file: Uint8Array, sizeBytes = file.length, limitSec = LIMIT_SEC) =>
  requireStatedDuration(file.subarray(0, BEGINNING_BYTES), sizeBytes, limitSec);
const wav = (seconds: number) => encodeWav([new Float32Array(seconds * 8_000)], { sampleRateHz: 8_000 });
const tooLong = expect.objectContaining({ code: 'AUDIO_TOO_LONG' }) as Error;

describe('the duration that the beginning of a file states', () => {
  it('is compared with the limit for a WAV', () => {
    expect(() => check(wav(10))).not.toThrow();
    expect(() => check(wav(11))).toThrow(tooLong);
  });

  it.each([0, 0xffffffff, 0x7ffff000])('is that of the file if its writer left %i', (length) => {
    for (const [seconds, refused] of [
      [10, false],
      [11, true],
    ] as const) {
      const file = Buffer.from(wav(seconds));
      file.writeUInt32LE(length, 40);
      if (refused) expect(() => check(file)).toThrow(tooLong);
      else expect(() => check(file)).not.toThrow();
    }
  });

  it('is never longer than the file allows, whatever the header states', () => {
    const lying = Buffer.from(wav(5));
    lying.writeUInt32LE(16_000 * 3_600, 40);
    expect(() => check(lying)).not.toThrow(); // AUDIO_TRUNCATED, which its decoder says
  });

  it('is compared with the limit for a FLAC', () => {
    const flac = readFileSync(globSync('samples/librispeech-mini/**/*.flac').sort()[0] as string);
    expect(() => check(flac, flac.length, 600)).not.toThrow();
    expect(() => check(flac, flac.length, 0.1)).toThrow(tooLong);
  });

  it('is unknown for all other formats, without an error', () => {
    for (const bytes of [Buffer.from('OggS'.padEnd(100)), Buffer.from('text'), new Uint8Array(), wav(1).subarray(0, 20)])
      expect(() => check(bytes, 1e12)).not.toThrow();
  });
});
