/**
 * mulberry32 (Tommy Ettinger): draws in [0, 1) that a seed repeats on any machine. Its 32 bits of state are enough for
 * bootstraps, pictures and tests. Two other generators stay, since runs and checkpoints hold their draws: sfc32 of the model
 * (libs/tensor/src/random.ts) and splitmix32, which orders a run's tiles (libs/rounds/src/tile-pool.ts).
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
