/**
 * What every decoder hands on: one channel of floats at the source's own rate, and the two checks that all share.
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
  // x * 0 is 0 for finite x and NaN otherwise: one pass without a branch per sample.
  let zero = 0;
  for (let i = 0; i < samples.length; i++) zero += (samples[i] as number) * 0;
  if (Number.isNaN(zero)) {
    const at = samples.findIndex((sample) => !Number.isFinite(sample));
    throw new PipelineError('AUDIO_NON_FINITE', `sample ${at} is ${samples[at]}`, { context: { sample: at } });
  }
}
