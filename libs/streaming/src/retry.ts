/** Decides an error's fate, and waits for what may pass. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError, type Fate } from '#contracts/pipeline-error.js';

export function fateOf(error: unknown): Fate {
  if (error instanceof PipelineError) return error.fate;
  // Errors of the Kafka client say themselves whether another try can help.
  return error instanceof Error && (error as { retriable?: unknown }).retriable === true ? 'retryable' : 'unknown';
}

export interface RetryOptions {
  /** After this long, a retryable error becomes permanent. */
  limitMs?: number;
  onRetry?: (error: Error, waitMs: number, attempt: number) => void;
  /** Ends the waiting; the last error is thrown as it is. */
  signal?: AbortSignal;
}

const firstWaitMs = 200;
const longestWaitMs = 15_000;
export const retryLimitMs = 15 * 60_000;

/** Exponential backoff with full jitter. @throws RETRIES_EXHAUSTED after the limit; any other error at once */
export async function retrying<Result>(work: () => Promise<Result>, options: RetryOptions = {}): Promise<Result> {
  const { limitMs = retryLimitMs, onRetry, signal } = options;
  const startedAt = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (fateOf(error) !== 'retryable' || signal?.aborted) throw error;
      const elapsedMs = performance.now() - startedAt;
      if (elapsedMs >= limitMs) {
        throw new PipelineError('RETRIES_EXHAUSTED', `Gave up after ${Math.round(elapsedMs / 1000)} s: ${(error as Error).message}`, {
          cause: error,
        });
      }
      const waitMs = Math.round(Math.random() * Math.min(longestWaitMs, firstWaitMs * 2 ** (attempt - 1))) + 20;
      onRetry?.(error as Error, waitMs, attempt);
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
