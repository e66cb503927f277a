/**
 * The polyphase filter of the resampler. Profiling showed that loads limit it, not sums. So four outputs of one phase share
 * each load of the table, which takes 1.25 loads a product instead of 2.
 */

/**
 * y[i] = sum over k of x[first + k] * table[phase][k], where first and phase are quotient and remainder of i * down / up.
 * @param table [up, taps]; taps is a multiple of 8
 * @param x as many samples as the taps of the last output need
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
