/**
 * The inner loops of the features as WebAssembly SIMD (AssemblyScript; `npm run kernel` compiles it into
 * src/kernel-binary.ts): polyphase resampling, the short-time Fourier transform down to rows of power, and 8-bit decibels.
 * Source: the paper, Section IV-B; what each step is to give stands in resample.ts and spectrogram.ts.
 *
 * Everything is f32, without relaxed SIMD: the same samples give the same bytes on every machine. All memory is the
 * caller's: pointers in, nothing allocated, nothing kept.
 *
 * What profiling taught: four frames of a spectrogram as the four lanes of a vector leave a Fourier transform without a
 * single shuffle, and a resampler is bound by its loads, not by its sums: four outputs of one phase share each load of
 * the table (1.25 loads a product instead of 2), which took a third off its time.
 *
 * Does not promise any check of its arguments: kernel.ts in src does that.
 */

/**
 * y[i] = sum over k of x[first + k] * table[phase][k], where first and phase are quotient and remainder of i * down / up.
 * @param table [up, taps], taps a multiple of 8
 * @param x as many samples as the last output's taps reach
 */
export function resample(x: usize, table: usize, up: i32, down: i32, taps: i32, y: usize, count: i32): void {
  const row = (<usize>taps) << 2;
  const inputStep = (<usize>down) << 2; // between outputs of the same phase
  const outputStep = (<usize>up) << 2;
  let base = 0;
  let from = x; // of output `base`, which has phase 0
  for (; base + 4 * up <= count; base += 4 * up, from += 4 * inputStep) {
    let phase = 0;
    let first = from;
    let out = y + ((<usize>base) << 2);
    for (let p = 0; p < up; p++, out += 4) {
      let t = table + <usize>phase * row;
      const end = t + row;
      let a = first;
      let b = a + inputStep;
      let c = b + inputStep;
      let d = c + inputStep;
      let sa = f32x4.splat(0);
      let sb = sa;
      let sc = sa;
      let sd = sa;
      for (; t < end; t += 32, a += 32, b += 32, c += 32, d += 32) {
        const low = v128.load(t);
        sa = f32x4.add(sa, f32x4.mul(low, v128.load(a)));
        sb = f32x4.add(sb, f32x4.mul(low, v128.load(b)));
        sc = f32x4.add(sc, f32x4.mul(low, v128.load(c)));
        sd = f32x4.add(sd, f32x4.mul(low, v128.load(d)));
        const high = v128.load(t, 16);
        sa = f32x4.add(sa, f32x4.mul(high, v128.load(a, 16)));
        sb = f32x4.add(sb, f32x4.mul(high, v128.load(b, 16)));
        sc = f32x4.add(sc, f32x4.mul(high, v128.load(c, 16)));
        sd = f32x4.add(sd, f32x4.mul(high, v128.load(d, 16)));
      }
      store<f32>(out, lanesSum(sa));
      store<f32>(out + outputStep, lanesSum(sb));
      store<f32>(out + 2 * outputStep, lanesSum(sc));
      store<f32>(out + 3 * outputStep, lanesSum(sd));
      phase += down;
      const whole = phase / up;
      phase -= whole * up;
      first += (<usize>whole) << 2;
    }
  }
  let phase = 0;
  let first = from;
  for (let i = base; i < count; i++) {
    let t = table + <usize>phase * row;
    const end = t + row;
    let sum = f32x4.splat(0);
    for (let a = first; t < end; t += 16, a += 16) sum = f32x4.add(sum, f32x4.mul(v128.load(t), v128.load(a)));
    store<f32>(y + ((<usize>i) << 2), lanesSum(sum));
    phase += down;
    const whole = phase / up;
    phase -= whole * up;
    first += (<usize>whole) << 2;
  }
}

function lanesSum(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/**
 * Power of frames, four at a time: windowed samples packed into `half` complex numbers per frame, radix-4 decimation in
 * frequency, then the split into real bins. Writes 4 * group times the mean power of each row's bins.
 * @param y the first frame's first sample; the frames (a multiple of four) lie `hop` samples apart
 * @param window winLength values, zeros up to a multiple of four
 * @param half fftSize / 2
 * @param twiddles per stage and butterfly: cos, sin of w, w^2, w^3; a last stage of 8 or 4 has none
 * @param split [half / 2 + 1, 4]: byte offsets of frequencies k and half - k in `work`, cos, sin of k (i32, i32, f32, f32)
 * @param work [half] complex vectors, then [half + 1] vectors for bins
 * @param power [rows, stride]: receives `frames` values of each row below `rows`
 */
export function rowPower(
  y: usize,
  frames: i32,
  hop: i32,
  window: usize,
  winLength: i32,
  half: i32,
  twiddles: usize,
  split: usize,
  work: usize,
  group: i32,
  rows: i32,
  power: usize,
  stride: i32,
): void {
  const hopBytes = (<usize>hop) << 2;
  const bins = work + ((<usize>half) << 5);
  for (let frame = 0; frame < frames; frame += 4, y += 4 * hopBytes, power += 16) {
    loadFrames(y, hopBytes, window, winLength, half, work);
    transform(work, half, twiddles);
    splitBins(work, half, split, bins);
    let bin = bins + 16; // bin 0 is left out
    let out = power;
    for (let row = 0; row < rows; row++, out += (<usize>stride) << 2) {
      let sum = v128.load(bin);
      bin += 16;
      for (let k = 1; k < group; k++, bin += 16) sum = f32x4.add(sum, v128.load(bin));
      v128.store(out, sum);
    }
  }
}

/** work[n] = { samples 2n of four frames, samples 2n + 1 of four frames }, windowed; zeros behind the window. */
function loadFrames(y: usize, hopBytes: usize, window: usize, winLength: i32, half: i32, work: usize): void {
  const y1 = y + hopBytes;
  const y2 = y1 + hopBytes;
  const y3 = y2 + hopBytes;
  const end = (<usize>((winLength + 3) & ~3)) << 2;
  let out = work;
  for (let at: usize = 0; at < end; at += 16, out += 64) {
    const w = v128.load(window + at);
    const a = f32x4.mul(v128.load(y + at), w);
    const b = f32x4.mul(v128.load(y1 + at), w);
    const c = f32x4.mul(v128.load(y2 + at), w);
    const d = f32x4.mul(v128.load(y3 + at), w);
    const ab01 = i32x4.shuffle(a, b, 0, 4, 1, 5);
    const cd01 = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const ab23 = i32x4.shuffle(a, b, 2, 6, 3, 7);
    const cd23 = i32x4.shuffle(c, d, 2, 6, 3, 7);
    v128.store(out, i64x2.shuffle(ab01, cd01, 0, 2));
    v128.store(out, i64x2.shuffle(ab01, cd01, 1, 3), 16);
    v128.store(out, i64x2.shuffle(ab23, cd23, 0, 2), 32);
    v128.store(out, i64x2.shuffle(ab23, cd23, 1, 3), 48);
  }
  memory.fill(out, 0, work + ((<usize>half) << 5) - out);
}

function transform(work: usize, half: i32, twiddles: usize): void {
  const end = work + ((<usize>half) << 5);
  let block = half;
  let table = twiddles;
  for (; block > 8; block >>= 2) {
    const quarter = (<usize>(block >> 2)) << 5;
    for (let base = work; base < end; base += (<usize>block) << 5) {
      radix4Block(base, quarter, table);
    }
    table += <usize>(block >> 2) * 24;
  }
  if (block === 8) for (let base = work; base < end; base += 256) lastEight(base);
  else for (let base = work; base < end; base += 128) lastFour(base);
}

function radix4Block(base: usize, quarter: usize, table: usize): void {
  const end = base + quarter;
  let t = table;
  for (let p = base; p < end; p += 32, t += 24) {
    const q1 = p + quarter;
    const q2 = q1 + quarter;
    const q3 = q2 + quarter;
    const r0 = v128.load(p);
    const i0 = v128.load(p, 16);
    const r2 = v128.load(q2);
    const i2 = v128.load(q2, 16);
    const s0r = f32x4.add(r0, r2);
    const s1r = f32x4.sub(r0, r2);
    const s0i = f32x4.add(i0, i2);
    const s1i = f32x4.sub(i0, i2);
    const r1 = v128.load(q1);
    const i1 = v128.load(q1, 16);
    const r3 = v128.load(q3);
    const i3 = v128.load(q3, 16);
    const s2r = f32x4.add(r1, r3);
    const s3r = f32x4.sub(r1, r3);
    const s2i = f32x4.add(i1, i3);
    const s3i = f32x4.sub(i1, i3);
    v128.store(p, f32x4.add(s0r, s2r));
    v128.store(p, f32x4.add(s0i, s2i), 16);
    let xr = f32x4.add(s1r, s3i);
    let xi = f32x4.sub(s1i, s3r);
    let c = v128.load32_splat(t);
    let s = v128.load32_splat(t, 4);
    v128.store(q1, f32x4.sub(f32x4.mul(xr, c), f32x4.mul(xi, s)));
    v128.store(q1, f32x4.add(f32x4.mul(xr, s), f32x4.mul(xi, c)), 16);
    xr = f32x4.sub(s0r, s2r);
    xi = f32x4.sub(s0i, s2i);
    c = v128.load32_splat(t, 8);
    s = v128.load32_splat(t, 12);
    v128.store(q2, f32x4.sub(f32x4.mul(xr, c), f32x4.mul(xi, s)));
    v128.store(q2, f32x4.add(f32x4.mul(xr, s), f32x4.mul(xi, c)), 16);
    xr = f32x4.sub(s1r, s3i);
    xi = f32x4.add(s1i, s3r);
    c = v128.load32_splat(t, 16);
    s = v128.load32_splat(t, 20);
    v128.store(q3, f32x4.sub(f32x4.mul(xr, c), f32x4.mul(xi, s)));
    v128.store(q3, f32x4.add(f32x4.mul(xr, s), f32x4.mul(xi, c)), 16);
  }
}

/** Eight points at once, outputs in order: the even ones from sums, the odd ones from turned differences. */
function lastEight(p: usize): void {
  const half = f32x4.splat(0.7071067811865476);
  let a = v128.load(p);
  let b = v128.load(p, 128);
  const e0r = f32x4.add(a, b);
  const o0r = f32x4.sub(a, b);
  a = v128.load(p, 16);
  b = v128.load(p, 144);
  const e0i = f32x4.add(a, b);
  const o0i = f32x4.sub(a, b);
  a = v128.load(p, 64);
  b = v128.load(p, 192);
  const e2r = f32x4.add(a, b);
  const d2r = f32x4.sub(a, b);
  a = v128.load(p, 80);
  b = v128.load(p, 208);
  const e2i = f32x4.add(a, b);
  const d2i = f32x4.sub(a, b);
  a = v128.load(p, 32);
  b = v128.load(p, 160);
  const e1r = f32x4.add(a, b);
  const d1r = f32x4.sub(a, b);
  a = v128.load(p, 48);
  b = v128.load(p, 176);
  const e1i = f32x4.add(a, b);
  const d1i = f32x4.sub(a, b);
  a = v128.load(p, 96);
  b = v128.load(p, 224);
  const e3r = f32x4.add(a, b);
  const d3r = f32x4.sub(a, b);
  a = v128.load(p, 112);
  b = v128.load(p, 240);
  const e3i = f32x4.add(a, b);
  const d3i = f32x4.sub(a, b);

  const f0r = f32x4.add(e0r, e2r);
  const f0i = f32x4.add(e0i, e2i);
  const f1r = f32x4.add(e1r, e3r);
  const f1i = f32x4.add(e1i, e3i);
  v128.store(p, f32x4.add(f0r, f1r)); // X0
  v128.store(p, f32x4.add(f0i, f1i), 16);
  v128.store(p, f32x4.sub(f0r, f1r), 128); // X4
  v128.store(p, f32x4.sub(f0i, f1i), 144);
  const g0r = f32x4.sub(e0r, e2r);
  const g0i = f32x4.sub(e0i, e2i);
  const g1r = f32x4.sub(e1r, e3r);
  const g1i = f32x4.sub(e1i, e3i);
  v128.store(p, f32x4.add(g0r, g1i), 64); // X2 = g0 - i g1
  v128.store(p, f32x4.sub(g0i, g1r), 80);
  v128.store(p, f32x4.sub(g0r, g1i), 192); // X6 = g0 + i g1
  v128.store(p, f32x4.add(g0i, g1r), 208);

  // Odd outputs: differences d0, w d1, w^2 d2, w^3 d3 with w = (1 - i) / sqrt 2.
  const u1r = f32x4.mul(f32x4.add(d1r, d1i), half);
  const u1i = f32x4.mul(f32x4.sub(d1i, d1r), half);
  const u3r = f32x4.mul(f32x4.sub(d3i, d3r), half);
  const u3i = f32x4.neg(f32x4.mul(f32x4.add(d3r, d3i), half));
  const h0r = f32x4.add(o0r, d2i); // d0 - i d2
  const h0i = f32x4.sub(o0i, d2r);
  const h1r = f32x4.sub(o0r, d2i);
  const h1i = f32x4.add(o0i, d2r);
  const k0r = f32x4.add(u1r, u3r);
  const k0i = f32x4.add(u1i, u3i);
  const k1r = f32x4.sub(u1r, u3r);
  const k1i = f32x4.sub(u1i, u3i);
  v128.store(p, f32x4.add(h0r, k0r), 32); // X1
  v128.store(p, f32x4.add(h0i, k0i), 48);
  v128.store(p, f32x4.sub(h0r, k0r), 160); // X5
  v128.store(p, f32x4.sub(h0i, k0i), 176);
  v128.store(p, f32x4.add(h1r, k1i), 96); // X3 = h1 - i k1
  v128.store(p, f32x4.sub(h1i, k1r), 112);
  v128.store(p, f32x4.sub(h1r, k1i), 224); // X7 = h1 + i k1
  v128.store(p, f32x4.add(h1i, k1r), 240);
}

function lastFour(p: usize): void {
  const r0 = v128.load(p);
  const i0 = v128.load(p, 16);
  const r1 = v128.load(p, 32);
  const i1 = v128.load(p, 48);
  const r2 = v128.load(p, 64);
  const i2 = v128.load(p, 80);
  const r3 = v128.load(p, 96);
  const i3 = v128.load(p, 112);
  const s0r = f32x4.add(r0, r2);
  const s0i = f32x4.add(i0, i2);
  const s1r = f32x4.sub(r0, r2);
  const s1i = f32x4.sub(i0, i2);
  const s2r = f32x4.add(r1, r3);
  const s2i = f32x4.add(i1, i3);
  const s3r = f32x4.sub(r1, r3);
  const s3i = f32x4.sub(i1, i3);
  v128.store(p, f32x4.add(s0r, s2r));
  v128.store(p, f32x4.add(s0i, s2i), 16);
  v128.store(p, f32x4.add(s1r, s3i), 32);
  v128.store(p, f32x4.sub(s1i, s3r), 48);
  v128.store(p, f32x4.sub(s0r, s2r), 64);
  v128.store(p, f32x4.sub(s0i, s2i), 80);
  v128.store(p, f32x4.sub(s1r, s3i), 96);
  v128.store(p, f32x4.add(s1i, s3r), 112);
}

/** Four times |X[k]|^2 and |X[half - k]|^2 of the real signal, from the spectra of its even and odd samples. */
function splitBins(work: usize, half: i32, split: usize, bins: usize): void {
  const re = v128.load(work);
  const im = v128.load(work, 16);
  const nyquist = f32x4.sub(re, im);
  const four = f32x4.splat(4);
  v128.store(bins + ((<usize>half) << 4), f32x4.mul(four, f32x4.mul(nyquist, nyquist)));
  let up = bins + 16;
  let down = bins + ((<usize>(half - 1)) << 4);
  let t = split + 16;
  for (; up <= down; up += 16, down -= 16, t += 16) {
    const p = work + load<u32>(t);
    const q = work + load<u32>(t, 4);
    const c = v128.load32_splat(t, 8);
    const s = v128.load32_splat(t, 12);
    const pr = v128.load(p);
    const pi = v128.load(p, 16);
    const qr = v128.load(q);
    const qi = v128.load(q, 16);
    const er = f32x4.add(pr, qr);
    const ei = f32x4.sub(pi, qi);
    const or = f32x4.add(pi, qi);
    const oi = f32x4.sub(qr, pr);
    const tr = f32x4.sub(f32x4.mul(or, c), f32x4.mul(oi, s));
    const ti = f32x4.add(f32x4.mul(or, s), f32x4.mul(oi, c));
    const ar = f32x4.add(er, tr);
    const ai = f32x4.add(ei, ti);
    const br = f32x4.sub(er, tr);
    const bi = f32x4.sub(ei, ti);
    v128.store(up, f32x4.add(f32x4.mul(ar, ar), f32x4.mul(ai, ai)));
    v128.store(down, f32x4.add(f32x4.mul(br, br), f32x4.mul(bi, bi)));
  }
}

/** The largest of `count` values that are not negative. */
export function maximum(values: usize, count: i32): f32 {
  let top = f32x4.splat(0);
  const end = values + ((<usize>count) << 2);
  let at = values;
  for (; at + 16 <= end; at += 16) top = f32x4.max(top, v128.load(at));
  let max: f32 = Mathf.max(
    Mathf.max(f32x4.extract_lane(top, 0), f32x4.extract_lane(top, 1)),
    Mathf.max(f32x4.extract_lane(top, 2), f32x4.extract_lane(top, 3)),
  );
  for (; at < end; at += 4) max = Mathf.max(max, load<f32>(at));
  return max;
}

/**
 * pixel = log2(power * scale) * slope + 255.5, cut to 0..255 and its fraction dropped: decibels rounded half up.
 * Reads and writes up to 15 values more than `count`.
 * @param slope pixels an octave of power: 255 / -floorDb * 10 log10(2)
 */
export function quantise(power: usize, count: i32, scale: f32, slope: f32, pixels: usize): void {
  const end = pixels + <usize>count;
  for (let out = pixels, at = power; out < end; out += 16, at += 64) {
    const a = toPixels(v128.load(at), scale, slope);
    const b = toPixels(v128.load(at, 16), scale, slope);
    const c = toPixels(v128.load(at, 32), scale, slope);
    const d = toPixels(v128.load(at, 48), scale, slope);
    v128.store(out, i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
  }
}

/** log2 by the exponent, and by the series of 2 atanh((m - 1) / (m + 1)) for a mantissa m in [sqrt 1/2, sqrt 2). */
function toPixels(power: v128, scale: f32, slope: f32): v128 {
  const x = f32x4.max(f32x4.mul(power, f32x4.splat(scale)), f32x4.splat(1e-30));
  const shifted = i32x4.sub(x, i32x4.splat(0x3f3504f3)); // sqrt 1/2
  const exponent = i32x4.shr_s(shifted, 23);
  const mantissa = i32x4.add(v128.and(shifted, i32x4.splat(0x007fffff)), i32x4.splat(0x3f3504f3));
  const one = f32x4.splat(1);
  const t = f32x4.div(f32x4.sub(mantissa, one), f32x4.add(mantissa, one));
  const t2 = f32x4.mul(t, t);
  let series = f32x4.add(f32x4.mul(t2, f32x4.splat(0.32059889)), f32x4.splat(0.41219858)); // 2 / (9 ln 2), 2 / (7 ln 2)
  series = f32x4.add(f32x4.mul(series, t2), f32x4.splat(0.57707802)); // 2 / (5 ln 2)
  series = f32x4.add(f32x4.mul(series, t2), f32x4.splat(0.96179669)); // 2 / (3 ln 2)
  series = f32x4.add(f32x4.mul(series, t2), f32x4.splat(2.88539008)); // 2 / ln 2
  const log2 = f32x4.add(f32x4.convert_i32x4_s(exponent), f32x4.mul(t, series));
  return i32x4.trunc_sat_f32x4_s(f32x4.add(f32x4.mul(log2, f32x4.splat(slope)), f32x4.splat(255.5)));
}
