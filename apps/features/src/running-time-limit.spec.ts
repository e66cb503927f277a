import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { runningTimeLimit } from './running-time-limit.js';

/** Stands still, as a stopped process does. */
const standStill = (forMs: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);

describe('a limit of running time', () => {
  it('is over when it has run for so long', async () => {
    const limit = runningTimeLimit(200);
    while (!limit.signal.aborted) await sleep(10);
    limit.clear();
  });

  it('is not over because the process stood still', async () => {
    const limit = runningTimeLimit(1_000);
    standStill(3_000);
    await sleep(1);
    expect(limit.signal.aborted).toBe(false);
    while (!limit.signal.aborted) await sleep(10);
  });

  it('is over never once it is cleared', async () => {
    const limit = runningTimeLimit(100);
    limit.clear();
    await sleep(300);
    expect(limit.signal.aborted).toBe(false);
  });
});
