/**
 * Every decoder hands on one channel of floats at the source's own rate, and makes the checks that stand here.
 *
 * Does not promise a range: integers come out in [-1, 1), floats as the file has them.
 */
import { PipelineError } from '#contracts/pipeline-error.js';

export interface DecodedAudio {
  /** Mono: the mean of the channels. */
  samples: Float32Array;
  sampleRateHz: number;
  /** Name and version of what decoded it. */
  decoder: string;
  /** A fault of the file that did not change its sound, for the log. */
  remark?: string;
}

/** Below, nothing of speech is left, and a small file would be hours; above, no recorder of speech works. */
const LEAST_RATE_HZ = 1_000;
const MOST_RATE_HZ = 192_000;
/** As many as an Opus or ambisonic file can have. */
const MOST_CHANNELS = 255;

/** @throws AUDIO_UNDECODABLE. Call it on what a header says, before anything is decoded or taken in memory. */
export function requireFormat({ sampleRateHz, channels }: { sampleRateHz: number; channels: number }): void {
  if (sampleRateHz < LEAST_RATE_HZ || sampleRateHz > MOST_RATE_HZ) {
    const range = `files from ${LEAST_RATE_HZ} to ${MOST_RATE_HZ} Hz are decoded`;
    throw new PipelineError('AUDIO_UNDECODABLE', `a sample rate of ${sampleRateHz} Hz is not supported: ${range}`, {
      context: { sampleRateHz },
    });
  }
  if (channels > MOST_CHANNELS) {
    throw new PipelineError('AUDIO_UNDECODABLE', `${channels} channels are not supported: at most ${MOST_CHANNELS} are decoded`, {
      context: { channels },
    });
  }
}

/** @throws AUDIO_TOO_LONG. Call it on what the header says, before memory is taken for samples. */
export function requireDuration(sampleCount: number, sampleRateHz: number, maxDurationSec: number): void {
  const durationSec = sampleCount / sampleRateHz;
  if (durationSec > maxDurationSec) {
    throw new PipelineError('AUDIO_TOO_LONG', `${durationSec.toFixed(1)} s of audio, at most ${maxDurationSec} s are taken`, {
      context: { durationSec, maxDurationSec },
    });
  }
}

/** @throws AUDIO_NON_FINITE if a sample is NaN or infinite. */
export function requireFinite(samples: Float32Array): void {
  // No sum of finite floats passes what a double holds, and any sum with one that is not finite is not finite either.
  if (!Number.isFinite(sumOf(samples))) {
    const at = samples.findIndex((sample) => !Number.isFinite(sample));
    throw new PipelineError('AUDIO_NON_FINITE', `sample ${at} is ${samples[at]}`, { context: { sample: at } });
  }
}

/** In doubles and four parts, so that no addition waits for the one before it. */
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
