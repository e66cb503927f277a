/** Periodic Hamming window (the paper, Section IV-B): 0.54 - 0.46 cos(2 pi i / length). */
export function hamming(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => 0.54 - 0.46 * Math.cos((2 * Math.PI * i) / length));
}
