/**
 * A time limit that counts only while this process runs: one that was stopped (SIGSTOP, a paused machine) and wakes up must not
 * blame the file that it was at for the time that it stood still.
 */
const ticksPerLimit = 20;

export interface RunningTimeLimit {
  signal: AbortSignal;
  /** No limit any more; always call it. */
  clear: () => void;
}

/** Aborts after `limitMs` of running, give or take a twentieth. */
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
