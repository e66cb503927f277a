/**
 * The inner loops of feature extraction as WebAssembly SIMD: FLAC, polyphase resampling, the short-time Fourier transform
 * down to rows of power, and 8-bit decibels. The language is AssemblyScript; `npm run kernel` compiles it into
 * src/kernel-binary.ts. Source: the paper, Section IV-B. flac-frames.ts, resample.ts and spectrogram.ts define the result of
 * each step.
 *
 * Floats are f32 without relaxed SIMD, so the same samples give the same bytes on every machine. The caller owns all memory:
 * functions take pointers, allocate nothing and keep nothing.
 *
 * Does not check its arguments: the callers in src do.
 */
export { mixOne, mixTwo, predict, rice, usedBits } from './flac';
export { maximum, quantise } from './quantise';
export { resample } from './resample';
export { rowPower } from './row-power';
