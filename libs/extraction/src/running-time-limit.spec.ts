import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { runningTimeLimit } from './running-time-limit.js';

/** Blocks the thread, like a stopped process. */
const standStill = (forMs: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);

describe('a limit of running time', () => {
  it('aborts after its running time', async () => {
    const limit = runningTimeLimit(200);
    while (!limit.signal.aborted) await sleep(10);
    limit.clear();
  });

  it('does not count time in which the process was stopped', async () => {
    const limit = runningTimeLimit(1_000);
    standStill(3_000);
    await sleep(1);
    expect(limit.signal.aborted).toBe(false);
    while (!limit.signal.aborted) await sleep(10);
  });

  it('never aborts after it was cleared', async () => {
    const limit = runningTimeLimit(100);
    limit.clear();
    await sleep(300);
    expect(limit.signal.aborted).toBe(false);
  });
});
