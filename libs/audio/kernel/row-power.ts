/**
 * The short-time Fourier transform down to rows of power. The four lanes of a vector hold four frames, so the transform
 * needs no shuffle. Only loading the frames needs some.
 */

/**
 * Computes the power of frames, four at a time. It packs windowed samples into `half` complex numbers per frame, runs a
 * radix-4 transform with decimation in frequency, then splits the result into real bins. It writes 4 times the sum of each
 * row's bins, weighted if there is a bank.
 * @param y first sample of the first frame; the frames (a multiple of four) lie `hop` samples apart
 * @param window winLength values, padded with zeros to a multiple of four
 * @param half fftSize / 2
 * @param twiddles for each stage and butterfly: cos, sin of w, w^2, w^3; a last stage of 8 or 4 has none
 * @param split [half / 2 + 1, 4]: byte offsets of frequencies k and half - k in `work`, cos, sin of k (i32, i32, f32, f32)
 * @param work [half] complex vectors, then [half + 1] vectors for bins
 * @param group number of bins of a row, from bin 1 on; used without a bank
 * @param bank 0, or for each row its first bin and number of bins (i32, i32), then their weights
 * @param power [rows, stride]: receives `frames` values in each of the first `rows` rows
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
  bank: usize,
  power: usize,
  stride: i32,
): void {
  const hopBytes = (<usize>hop) << 2;
  const bins = work + ((<usize>half) << 5);
  for (let frame = 0; frame < frames; frame += 4, y += 4 * hopBytes, power += 16) {
    loadFrames(y, hopBytes, window, winLength, half, work);
    transform(work, half, twiddles);
    splitBins(work, half, split, bins);
    if (bank) sumByBank(bins, bank, rows, power, stride);
    else sumByGroup(bins, group, rows, power, stride);
  }
}

function sumByGroup(bins: usize, group: i32, rows: i32, power: usize, stride: i32): void {
  let bin = bins + 16; // bin 0 is left out
  let out = power;
  for (let row = 0; row < rows; row++, out += (<usize>stride) << 2) {
    let sum = v128.load(bin);
    bin += 16;
    for (let k = 1; k < group; k++, bin += 16) sum = f32x4.add(sum, v128.load(bin));
    v128.store(out, sum);
  }
}

function sumByBank(bins: usize, bank: usize, rows: i32, power: usize, stride: i32): void {
  let out = power;
  for (let row = 0; row < rows; row++, out += (<usize>stride) << 2) {
    let bin = bins + ((<usize>load<i32>(bank)) << 4);
    const end = bin + ((<usize>load<i32>(bank, 4)) << 4);
    bank += 8;
    let sum = f32x4.splat(0);
    for (; bin < end; bin += 16, bank += 4) sum = f32x4.add(sum, f32x4.mul(v128.load(bin), v128.load32_splat(bank)));
    v128.store(out, sum);
  }
}

/** work[n] = { samples 2n of four frames, samples 2n + 1 of four frames }, windowed, with zeros after the window. */
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

/** Transforms eight points at once, with outputs in order: even ones from sums, odd ones from rotated differences. */
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

/** 4 |X[k]|^2 and 4 |X[half - k]|^2 of the real signal, from the spectra of its even and odd samples. */
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
