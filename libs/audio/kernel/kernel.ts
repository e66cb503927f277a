/**
 * The inner loops of the features as WebAssembly SIMD (AssemblyScript; `npm run kernel` compiles it into
 * src/kernel-binary.ts): FLAC, polyphase resampling, the short-time Fourier transform down to rows of power, and 8-bit
 * decibels. Source: the paper, Section IV-B; what each step is to give stands in flac-frames.ts, resample.ts and
 * spectrogram.ts.
 *
 * Floats are f32, without relaxed SIMD: the same samples give the same bytes on every machine. All memory is the
 * caller's: pointers in, nothing allocated, nothing kept.
 *
 * Does not promise any check of its arguments: the callers in src do that.
 */
export { mixOne, mixTwo, predict, rice, usedBits } from './flac';
export { maximum, quantise } from './quantise';
export { resample } from './resample';
export { rowPower } from './row-power';
