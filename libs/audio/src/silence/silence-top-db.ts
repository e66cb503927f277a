/**
 * Finds speech by its level below the loudest frame. The intervals equal those of `librosa.effects.split` (their hull is
 * `trim`) with its frames of 2048 samples every 512, centred, with zeros beyond the ends. Most published pipelines mean this
 * by "trimmed".
 *
 * Fails in noise: noise less than `topDb` below the loudest frame is all kept.
 */
import type { KeptRange, SpeechDetector } from './trim-silence.js';

const HOP = 512;
/** A frame of 2048 samples, centred on frame * hop, covers two hops before and two after. */
const HOPS_PER_SIDE = 2;
/** librosa's amin of an amplitude, squared. */
const LEAST_POWER = 1e-10;

/** @param topDb level below the loudest frame, in dB, down to which a frame is speech */
export function speechByTopDb(topDb: number): SpeechDetector {
  return (samples) => {
    const frames = 1 + Math.floor(samples.length / HOP);
    const energy = hopEnergies(samples);
    const power = Float64Array.from({ length: frames }, (_, frame) => {
      let sum = 0;
      for (let hop = frame - HOPS_PER_SIDE; hop < frame + HOPS_PER_SIDE; hop++) sum += energy[hop] ?? 0;
      return Math.max(LEAST_POWER, sum / (2 * HOPS_PER_SIDE * HOP));
    });
    const threshold = power.reduce((a, b) => Math.max(a, b), LEAST_POWER) * 10 ** (-topDb / 10);
    const runs: KeptRange[] = [];
    let last: KeptRange | undefined;
    for (let frame = 0; frame < frames; frame++) {
      if ((power[frame] as number) <= threshold) last = undefined;
      else {
        if (!last) runs.push((last = { start: frame * HOP, end: 0 }));
        last.end = Math.min(samples.length, (frame + 1) * HOP);
      }
    }
    return runs.filter(({ start, end }) => end > start);
  };
}

/** Sum of squares of each hop. The last hop may be shorter. */
function hopEnergies(samples: Float32Array): Float64Array {
  const energy = new Float64Array(Math.ceil(samples.length / HOP));
  for (let i = 0; i < samples.length; i++) energy[(i / HOP) | 0] = (energy[(i / HOP) | 0] as number) + (samples[i] as number) ** 2;
  return energy;
}
