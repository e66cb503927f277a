/**
 * The two hot loops of a FLAC decoder (RFC 9639, Sections 9.2.6 and 9.2.7): Rice codes, and linear prediction in 32 bits.
 * Profiling showed that a loop over Rice codes waits for its own shifts. So the loop takes all codes that one load of 57 bits
 * holds from a register before the next load.
 */

/**
 * Decodes the codes of a partition: a quotient in unary, `parameter` lower bits, the sign in the lowest.
 * @param state receives where the loop stopped: bit position (u32), then the number of samples written (u32). It stops early
 * at a code that is too long for one load; the caller reads that code.
 * @param bytes start of the frame; bit positions count from there. The loop reads eight bytes beyond the last code.
 */
export function rice(bytes: usize, bit: u32, samples: usize, count: u32, parameter: u32, state: usize): void {
  let out = samples;
  const end = samples + ((<usize>count) << 2);
  const shift: u64 = 63 - parameter;
  const fixedBits = parameter + 1;
  const most: u32 = parameter > 26 ? 33 : 57; // with more lower bits, longer codes may pass 2^32
  while (out < end) {
    let window = bswap<u64>(load<u64>(bytes + (bit >> 3))) << (bit & 7);
    let left = most;
    for (; out < end; out += 4) {
      const quotient = <u32>clz<u64>(window);
      const length = quotient + fixedBits;
      if (length > left) break;
      const folded = (quotient << parameter) | <u32>(((window << quotient) & 0x7fffffffffffffff) >> shift);
      store<u32>(out, (folded >> 1) ^ (0 - (folded & 1)));
      window <<= length;
      left -= length;
    }
    if (left === most) break;
    bit += most - left;
  }
  store<u32>(state, bit);
  store<u32>(state, <u32>((out - samples) >> 2), 4);
}

/**
 * samples[i] += (sum over j of coefficients[j] * samples[i - 1 - j]) >> shift, in 32 bits.
 * @param coefficients 32 values, zeros after the order; the loop reads up to 11 samples before the first
 */
export function predict(samples: usize, count: i32, coefficients: usize, order: i32, shift: i32): void {
  const end = samples + ((<usize>count) << 2);
  if (order <= 4) predictFrom4(samples, end, coefficients, shift);
  else if (order <= 8) predictFrom8(samples, end, coefficients, shift);
  else if (order <= 12) predictFrom12(samples, end, coefficients, shift);
  else predictFromMany(samples, end, coefficients, order, shift);
}

function predictFrom4(at: usize, end: usize, c: usize, shift: i32): void {
  const c1 = load<i32>(c);
  const c2 = load<i32>(c, 4);
  const c3 = load<i32>(c, 8);
  const c4 = load<i32>(c, 12);
  let x1 = load<i32>(at - 4);
  let x2 = load<i32>(at - 8);
  let x3 = load<i32>(at - 12);
  let x4 = load<i32>(at - 16);
  for (; at < end; at += 4) {
    const x = load<i32>(at) + ((c2 * x2 + c3 * x3 + c4 * x4 + c1 * x1) >> shift);
    store<i32>(at, x);
    x4 = x3;
    x3 = x2;
    x2 = x1;
    x1 = x;
  }
}

function predictFrom8(at: usize, end: usize, c: usize, shift: i32): void {
  const c1 = load<i32>(c);
  const c2 = load<i32>(c, 4);
  const c3 = load<i32>(c, 8);
  const c4 = load<i32>(c, 12);
  const c5 = load<i32>(c, 16);
  const c6 = load<i32>(c, 20);
  const c7 = load<i32>(c, 24);
  const c8 = load<i32>(c, 28);
  let x1 = load<i32>(at - 4);
  for (; at < end; at += 4) {
    // The terms that do not wait for the sample before come first.
    const known =
      c8 * load<i32>(at - 32) +
      c7 * load<i32>(at - 28) +
      (c6 * load<i32>(at - 24) + c5 * load<i32>(at - 20)) +
      (c4 * load<i32>(at - 16) + c3 * load<i32>(at - 12) + c2 * load<i32>(at - 8));
    x1 = load<i32>(at) + ((known + c1 * x1) >> shift);
    store<i32>(at, x1);
  }
}

function predictFrom12(at: usize, end: usize, c: usize, shift: i32): void {
  const c1 = load<i32>(c);
  const c2 = load<i32>(c, 4);
  const c3 = load<i32>(c, 8);
  const c4 = load<i32>(c, 12);
  const c5 = load<i32>(c, 16);
  const c6 = load<i32>(c, 20);
  const c7 = load<i32>(c, 24);
  const c8 = load<i32>(c, 28);
  const c9 = load<i32>(c, 32);
  const c10 = load<i32>(c, 36);
  const c11 = load<i32>(c, 40);
  const c12 = load<i32>(c, 44);
  let x1 = load<i32>(at - 4);
  for (; at < end; at += 4) {
    const known =
      c12 * load<i32>(at - 48) +
      c11 * load<i32>(at - 44) +
      (c10 * load<i32>(at - 40) + c9 * load<i32>(at - 36)) +
      (c8 * load<i32>(at - 32) + c7 * load<i32>(at - 28)) +
      (c6 * load<i32>(at - 24) + c5 * load<i32>(at - 20)) +
      (c4 * load<i32>(at - 16) + c3 * load<i32>(at - 12) + c2 * load<i32>(at - 8));
    x1 = load<i32>(at) + ((known + c1 * x1) >> shift);
    store<i32>(at, x1);
  }
}

function predictFromMany(at: usize, end: usize, c: usize, order: i32, shift: i32): void {
  for (; at < end; at += 4) {
    let sum = 0;
    let x = at - 4;
    for (let j = 0; j < order; j++, x -= 4) sum += load<i32>(c + ((<usize>j) << 2)) * load<i32>(x);
    store<i32>(at, load<i32>(at) + (sum >> shift));
  }
}

/** Bits that any sample needs besides its sign: the union of x for x >= 0, and of its complement for x < 0. */
export function usedBits(samples: usize, count: i32): u32 {
  let seen = i32x4.splat(0);
  const end = samples + ((<usize>count) << 2);
  let at = samples;
  for (; at + 16 <= end; at += 16) {
    const x = v128.load(at);
    seen = v128.or(seen, v128.xor(x, i32x4.shr_s(x, 31)));
  }
  let all = i32x4.extract_lane(seen, 0) | i32x4.extract_lane(seen, 1) | i32x4.extract_lane(seen, 2) | i32x4.extract_lane(seen, 3);
  for (; at < end; at += 4) {
    const x = load<i32>(at);
    all |= x ^ (x >> 31);
  }
  return <u32>all;
}

/** mono[i] = (left[i] + right[i]) * scale. Writes up to three values too many. The sums must fit into 32 bits. */
export function mixTwo(left: usize, right: usize, count: i32, scale: f32, mono: usize): void {
  const end = mono + ((<usize>count) << 2);
  for (let out = mono; out < end; out += 16, left += 16, right += 16) {
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(v128.load(left), v128.load(right))), f32x4.splat(scale)));
  }
}

/** mono[i] = samples[i] * scale. Writes up to three values too many. */
export function mixOne(samples: usize, count: i32, scale: f32, mono: usize): void {
  const end = mono + ((<usize>count) << 2);
  for (let out = mono; out < end; out += 16, samples += 16) {
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(v128.load(samples)), f32x4.splat(scale)));
  }
}
