/**
 * Triangular filters on the mel scale, like the defaults of `librosa.filters.mel`: Slaney's scale (linear to 1 kHz, then
 * logarithmic), all filters with the same area. It is an option beside the paper's linear rows (Section IV-B), because most
 * other work uses it.
 *
 * Filters may have gaps: with many rows and a short transform, a low filter may lie between two bins. `validateSettings`
 * refuses that.
 */
const LINEAR_HZ_PER_MEL = 200 / 3;
const LOGARITHMIC_FROM_HZ = 1_000;
const LOGARITHMIC_FROM_MEL = LOGARITHMIC_FROM_HZ / LINEAR_HZ_PER_MEL;
const LOGARITHMIC_STEP = Math.log(6.4) / 27;

export interface MelFilter {
  firstBin: number;
  weights: Float32Array;
  /** The filter is 0 from this frequency on. */
  upperHz: number;
}

interface MelSettings {
  sampleRateHz: number;
  fftSize: number;
  rows: number;
}

/** One filter for each row, the lowest first. */
export function melBank({ sampleRateHz, fftSize, rows }: MelSettings): MelFilter[] {
  const highestMel = hzToMel(sampleRateHz / 2);
  const edges = Array.from({ length: rows + 2 }, (_, edge) => melToHz((highestMel * edge) / (rows + 1)));
  const binHz = sampleRateHz / fftSize;
  return Array.from({ length: rows }, (_, row) => {
    const [lower, centre, upper] = edges.slice(row, row + 3) as [number, number, number];
    const firstBin = Math.floor(lower / binHz) + 1;
    const pastBin = Math.min(fftSize / 2 + 1, Math.ceil(upper / binHz));
    const weights = Float32Array.from({ length: Math.max(0, pastBin - firstBin) }, (_, k) => {
      const hz = (firstBin + k) * binHz;
      return (2 / (upper - lower)) * Math.max(0, Math.min((hz - lower) / (centre - lower), (upper - hz) / (upper - centre)));
    });
    return { firstBin, weights, upperHz: upper };
  });
}

/** Row of a frequency on the mel scale, with fractions. The lower edge of row 0 is 0 Hz. */
export function melRowOf(hz: number, { sampleRateHz, rows }: Pick<MelSettings, 'sampleRateHz' | 'rows'>): number {
  return ((rows + 1) * hzToMel(hz)) / hzToMel(sampleRateHz / 2) - 0.5;
}

/** Packs the filters for the kernel: for each filter its first bin and number of bins, then its weights. */
export function packBank(filters: readonly MelFilter[]): Uint8Array {
  const packed = new ArrayBuffer(4 * filters.reduce((size, { weights }) => size + 2 + weights.length, 0));
  const [integers, floats] = [new Int32Array(packed), new Float32Array(packed)];
  let at = 0;
  for (const { firstBin, weights } of filters) {
    integers.set([firstBin, weights.length], at);
    floats.set(weights, at + 2);
    at += 2 + weights.length;
  }
  return new Uint8Array(packed);
}

function hzToMel(hz: number): number {
  if (hz < LOGARITHMIC_FROM_HZ) return hz / LINEAR_HZ_PER_MEL;
  return LOGARITHMIC_FROM_MEL + Math.log(hz / LOGARITHMIC_FROM_HZ) / LOGARITHMIC_STEP;
}

function melToHz(mel: number): number {
  if (mel < LOGARITHMIC_FROM_MEL) return mel * LINEAR_HZ_PER_MEL;
  return LOGARITHMIC_FROM_HZ * Math.exp(LOGARITHMIC_STEP * (mel - LOGARITHMIC_FROM_MEL));
}
