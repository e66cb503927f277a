/**
 * Power spectrum of a real frame (for the STFT of the paper's Section IV-B): a frame of N samples packed into N/2 complex
 * numbers, radix-4 decimation in frequency with a last radix-2 stage where N/2 is no power of four, then the split into
 * N/2 + 1 bins. Tables are made once; a call allocates nothing. In doubles, so that the order of the sums does not show.
 *
 * Does not promise phase: only |X|^2, which is all that a spectrogram needs (so a frame may start anywhere in the FFT).
 */
export class RealFft {
  readonly #re: Float64Array;
  readonly #im: Float64Array;
  /** Per radix-4 stage and butterfly: cos, sin of w, w^2, w^3. */
  readonly #twiddles: Float64Array;
  /** Where frequency k ends up. */
  readonly #places: Int32Array;
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;

  /** @param size samples of a frame, a power of two from 4 on */
  constructor(readonly size: number) {
    const half = size / 2;
    this.#re = new Float64Array(half);
    this.#im = new Float64Array(half);
    this.#twiddles = stageTwiddles(half);
    this.#places = Int32Array.from({ length: half }, (_, k) => placeOf(k, half));
    this.#cos = Float64Array.from({ length: half + 1 }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.#sin = Float64Array.from({ length: half + 1 }, (_, k) => -Math.sin((2 * Math.PI * k) / size));
  }

  /**
   * |X[k]|^2 of `window[i] * signal[start + i]`, zeros up to `size`.
   * @param power receives size/2 + 1 values
   */
  powerOf(signal: Float32Array, start: number, window: Float64Array, power: Float64Array): void {
    const re = this.#re;
    const im = this.#im;
    const length = window.length;
    let i = 0;
    let n = 0;
    for (; i + 1 < length; i += 2, n++) {
      re[n] = (signal[start + i] as number) * (window[i] as number);
      im[n] = (signal[start + i + 1] as number) * (window[i + 1] as number);
    }
    if (i < length) {
      re[n] = (signal[start + i] as number) * (window[i] as number);
      im[n++] = 0;
    }
    re.fill(0, n);
    im.fill(0, n);
    this.#transform();
    this.#split(power);
  }

  #transform(): void {
    const re = this.#re;
    const im = this.#im;
    const twiddles = this.#twiddles;
    const half = re.length;
    let block = half;
    let stage = 0;
    for (; block >= 4; block >>= 2) {
      const q = block >> 2;
      for (let base = 0; base < half; base += block) {
        for (let n = 0, t = stage; n < q; n++, t += 6) {
          const i0 = base + n;
          const i1 = i0 + q;
          const i2 = i1 + q;
          const i3 = i2 + q;
          const s0r = (re[i0] as number) + (re[i2] as number);
          const s1r = (re[i0] as number) - (re[i2] as number);
          const s2r = (re[i1] as number) + (re[i3] as number);
          const s3r = (re[i1] as number) - (re[i3] as number);
          const s0i = (im[i0] as number) + (im[i2] as number);
          const s1i = (im[i0] as number) - (im[i2] as number);
          const s2i = (im[i1] as number) + (im[i3] as number);
          const s3i = (im[i1] as number) - (im[i3] as number);
          re[i0] = s0r + s2r;
          im[i0] = s0i + s2i;
          const ar = s1r + s3i;
          const ai = s1i - s3r;
          re[i1] = ar * (twiddles[t] as number) - ai * (twiddles[t + 1] as number);
          im[i1] = ar * (twiddles[t + 1] as number) + ai * (twiddles[t] as number);
          const br = s0r - s2r;
          const bi = s0i - s2i;
          re[i2] = br * (twiddles[t + 2] as number) - bi * (twiddles[t + 3] as number);
          im[i2] = br * (twiddles[t + 3] as number) + bi * (twiddles[t + 2] as number);
          const cr = s1r - s3i;
          const ci = s1i + s3r;
          re[i3] = cr * (twiddles[t + 4] as number) - ci * (twiddles[t + 5] as number);
          im[i3] = cr * (twiddles[t + 5] as number) + ci * (twiddles[t + 4] as number);
        }
      }
      stage += 6 * q;
    }
    if (block === 2) {
      for (let i = 0; i < half; i += 2) {
        const r = re[i] as number;
        const m = im[i] as number;
        re[i] = r + (re[i + 1] as number);
        im[i] = m + (im[i + 1] as number);
        re[i + 1] = r - (re[i + 1] as number);
        im[i + 1] = m - (im[i + 1] as number);
      }
    }
  }

  /** X[k] = E[k] + w^k O[k], X[half - k] = conj(E[k] - w^k O[k]), from the spectra of the even and odd samples. */
  #split(power: Float64Array): void {
    const re = this.#re;
    const im = this.#im;
    const half = re.length;
    const dc = (re[0] as number) + (im[0] as number);
    const nyquist = (re[0] as number) - (im[0] as number);
    power[0] = dc * dc;
    power[half] = nyquist * nyquist;
    for (let k = 1; k <= half >> 1; k++) {
      const p = this.#places[k] as number;
      const q = this.#places[half - k] as number;
      const er = ((re[p] as number) + (re[q] as number)) * 0.5;
      const ei = ((im[p] as number) - (im[q] as number)) * 0.5;
      const or = ((im[p] as number) + (im[q] as number)) * 0.5;
      const oi = ((re[q] as number) - (re[p] as number)) * 0.5;
      const c = this.#cos[k] as number;
      const s = this.#sin[k] as number;
      const tr = or * c - oi * s;
      const ti = or * s + oi * c;
      power[k] = (er + tr) * (er + tr) + (ei + ti) * (ei + ti);
      power[half - k] = (er - tr) * (er - tr) + (ei - ti) * (ei - ti);
    }
  }
}

function stageTwiddles(half: number): Float64Array {
  const values: number[] = [];
  for (let block = half; block >= 4; block >>= 2) {
    for (let n = 0; n < block / 4; n++) {
      for (let power = 1; power <= 3; power++) {
        const angle = (-2 * Math.PI * n * power) / block;
        values.push(Math.cos(angle), Math.sin(angle));
      }
    }
  }
  return Float64Array.from(values);
}

/** A radix-4 stage moves frequency k of a block of n to its k-th quarter (mod 4); the last one may be of two. */
function placeOf(k: number, n: number): number {
  if (n === 1) return 0;
  if (n === 2) return k;
  return (k % 4) * (n / 4) + placeOf(Math.floor(k / 4), n / 4);
}
