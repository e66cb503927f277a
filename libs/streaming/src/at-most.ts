/** Bounds the time for work that a stopping process would like to finish. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves when the work has succeeded or failed, or when the time is over. It does not cancel the work. */
export async function atMost(limitMs: number, work: Promise<unknown> | undefined): Promise<void> {
  const over = new AbortController();
  const done = Promise.resolve(work).catch(() => undefined);
  await Promise.race([done, sleep(limitMs, undefined, { signal: over.signal }).catch(() => undefined)]);
  over.abort();
}
