/** Decides the fate of an error, and retries work after retryable errors. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, PipelineError, type Fate } from '#contracts/pipeline-error.js';

export function fateOf(error: unknown): Fate {
  if (error instanceof PipelineError) return error.fate;
  if (!(error instanceof Error)) return 'unknown';
  // Errors of the Kafka client say whether a retry can help. For some the client says no although a retry helps.
  if ((error as { retriable?: unknown }).retriable === true) return 'retryable';
  return outages.has(withoutWrapper(error).name) ? 'retryable' : 'unknown';
}

/** True for an error of the store or the broker that says nothing about the requested object or record. */
export const isOutage = (error: unknown): boolean =>
  fateOf(error) === 'retryable' || (error instanceof PipelineError && error.code === 'RETRIES_EXHAUSTED');

/** Unwraps the error that the client throws after its last try. */
function withoutWrapper(error: Error): Error {
  return error.name === 'KafkaJSNonRetriableError' && error.cause instanceof Error ? error.cause : error;
}

/** Errors that mean that no broker could be reached. */
const outages = new Set(['KafkaJSGroupCoordinatorNotFound', 'KafkaJSNoBrokerAvailableError']);

export interface RetryOptions {
  /** After this long, a retryable error becomes permanent. */
  limitMs?: number;
  onRetry?: (error: Error, waitMs: number, attempt: number) => void;
  /** Ends the retries; the last error is thrown unchanged. */
  signal?: AbortSignal;
}

/** Observers of all retries of the process, which `retries_total` counts. */
const observers = new Set<() => void>();
/** @param observer called before each wait for a retry */
export const observeRetries = (observer: () => void): void => void observers.add(observer);
/** Reports a retry of this process or of its child process. */
export function noteRetry(): void {
  for (const observer of observers) observer();
}

const firstWaitMs = 200;
const longestWaitMs = 15_000;
export const retryLimitMs = 15 * 60_000;

/** Codes of machine conditions. They are retried without a limit, because a limit would turn good records into dead letters. */
const waitedOutForEver: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['DISK_FULL_WAITING']);

/** The retries of one piece of work: exponential backoff with full jitter, and a time limit. */
export class Attempts {
  private readonly startedAt = performance.now();
  failed = 0;

  constructor(private readonly limitMs = retryLimitMs) {}

  /** @returns the wait before the next try @throws RETRIES_EXHAUSTED after the limit; any error that is not retryable, unchanged */
  waitAfter(error: unknown): number {
    if (fateOf(error) !== 'retryable') throw error;
    const elapsedMs = performance.now() - this.startedAt;
    const outlastsLimit = error instanceof PipelineError && waitedOutForEver.has(error.code);
    if (elapsedMs >= this.limitMs && !outlastsLimit) {
      throw new PipelineError('RETRIES_EXHAUSTED', `Gave up after ${Math.round(elapsedMs / 1000)} s: ${(error as Error).message}`, {
        cause: error,
      });
    }
    noteRetry();
    return Math.round(Math.random() * Math.min(longestWaitMs, firstWaitMs * 2 ** this.failed++)) + 20;
  }
}

/** Retries until the work succeeds. @throws RETRIES_EXHAUSTED after the limit; any error that is not retryable, at once */
export async function retrying<Result>(work: () => Promise<Result>, options: RetryOptions = {}): Promise<Result> {
  const { limitMs, onRetry, signal } = options;
  const attempts = new Attempts(limitMs);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted) throw error;
      const waitMs = attempts.waitAfter(error);
      onRetry?.(error as Error, waitMs, attempts.failed);
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
