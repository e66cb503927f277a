/** Turns power into pixels: finds the maximum, then computes 8-bit decibels below it. */

/** @returns the largest of `count` non-negative values */
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
 * pixel = log2(power * scale) * slope + 255.5, clamped to 0..255 and truncated: decibels rounded half up.
 * Reads and writes up to 15 values beyond `count`.
 * @param slope pixels per octave of power: 255 / -floorDb * 10 log10(2)
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

/** log2 from the exponent and, for a mantissa m in [sqrt 1/2, sqrt 2), from the series of 2 atanh((m - 1) / (m + 1)). */
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
