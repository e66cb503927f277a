/**
 * The result of every decoder, one channel of floats at the rate of the source, and the checks that all decoders share.
 *
 * Does not promise a range: integers give [-1, 1), floats stay as the file has them.
 */
import { PipelineError } from '#contracts/pipeline-error.js';

export interface DecodedAudio {
  /** Mono: the mean of the channels. */
  samples: Float32Array;
  sampleRateHz: number;
  /** Name and version of the decoder. */
  decoder: string;
  /** A fault of the file that did not change its sound; goes to the log. */
  remark?: string;
}

/** Below the lower limit no speech is left, and a small file would last hours. No speech recorder exceeds the upper limit. */
const LEAST_RATE_HZ = 1_000;
const MOST_RATE_HZ = 192_000;
/** Opus and ambisonic files have at most this many. */
const MOST_CHANNELS = 255;

/** Call it on the fields of a header, before decoding or taking memory. @throws AUDIO_UNDECODABLE */
export function requireFormat({ sampleRateHz, channels }: { sampleRateHz: number; channels: number }): void {
  if (sampleRateHz < LEAST_RATE_HZ || sampleRateHz > MOST_RATE_HZ) {
    const range = `it must be from ${LEAST_RATE_HZ} to ${MOST_RATE_HZ} Hz`;
    throw new PipelineError('AUDIO_UNDECODABLE', `a sample rate of ${sampleRateHz} Hz is not supported: ${range}`, {
      context: { sampleRateHz },
    });
  }
  if (channels > MOST_CHANNELS) {
    throw new PipelineError('AUDIO_UNDECODABLE', `${channels} channels are not supported; the limit is ${MOST_CHANNELS}`, {
      context: { channels },
    });
  }
}

/** Call it on the fields of a header, before taking memory for samples. @throws AUDIO_TOO_LONG */
export function requireDuration(sampleCount: number, sampleRateHz: number, maxDurationSec: number): void {
  const durationSec = sampleCount / sampleRateHz;
  if (durationSec > maxDurationSec) {
    throw new PipelineError('AUDIO_TOO_LONG', `the audio lasts ${durationSec.toFixed(1)} s; the limit is ${maxDurationSec} s`, {
      context: { durationSec, maxDurationSec },
    });
  }
}

/** @throws AUDIO_NON_FINITE if a sample is NaN or infinite */
export function requireFinite(samples: Float32Array): void {
  // A double holds any sum of finite floats, and a sum with a non-finite float is never finite.
  if (!Number.isFinite(sumOf(samples))) {
    const at = samples.findIndex((sample) => !Number.isFinite(sample));
    throw new PipelineError('AUDIO_NON_FINITE', `sample ${at} is ${samples[at]}`, { context: { sample: at } });
  }
}

/** Adds in doubles and in four parts, so that no addition waits for the one before it. */
export function sumOf(samples: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = samples.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    a += samples[i] as number;
    b += samples[i + 1] as number;
    c += samples[i + 2] as number;
    d += samples[i + 3] as number;
  }
  for (let i = whole; i < samples.length; i++) a += samples[i] as number;
  return a + b + (c + d);
}
