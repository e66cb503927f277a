/**
 * A time limit that counts only while this process runs. After a stop (SIGSTOP, a paused machine) the process must not blame its
 * present file for the time of the stop.
 */
const ticksPerLimit = 20;

export interface RunningTimeLimit {
  signal: AbortSignal;
  /** Clears the limit. Always call it. */
  clear: () => void;
}

/** Aborts after `limitMs` of running time, within 5 %. */
export function runningTimeLimit(limitMs: number): RunningTimeLimit {
  const over = new AbortController();
  const tickMs = limitMs / ticksPerLimit;
  let leftMs = limitMs;
  let tickedAt = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    leftMs -= Math.min(now - tickedAt, 2 * tickMs);
    tickedAt = now;
    if (leftMs > 0) return;
    clearInterval(timer);
    over.abort();
  }, tickMs);
  return { signal: over.signal, clear: () => clearInterval(timer) };
}
