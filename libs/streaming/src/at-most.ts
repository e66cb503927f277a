/** For what a process that is told to stop would like to finish, and may have to leave. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves when the work is done, whatever became of it, or when the time is over; the work is not ended by that. */
export async function atMost(limitMs: number, work: Promise<unknown> | undefined): Promise<void> {
  const over = new AbortController();
  const done = Promise.resolve(work).catch(() => undefined);
  await Promise.race([done, sleep(limitMs, undefined, { signal: over.signal }).catch(() => undefined)]);
  over.abort();
}
