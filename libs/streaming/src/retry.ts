/** Decides an error's fate, and waits for what may pass. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, PipelineError, type Fate } from '#contracts/pipeline-error.js';

export function fateOf(error: unknown): Fate {
  if (error instanceof PipelineError) return error.fate;
  if (!(error instanceof Error)) return 'unknown';
  // Errors of the Kafka client say themselves whether another try can help; of some it says no, and one can.
  if ((error as { retriable?: unknown }).retriable === true) return 'retryable';
  return outages.has(withoutWrapper(error).name) ? 'retryable' : 'unknown';
}

/** Says something of the store or the broker, and nothing of what was asked for. */
export const isOutage = (error: unknown): boolean =>
  fateOf(error) === 'retryable' || (error instanceof PipelineError && error.code === 'RETRIES_EXHAUSTED');

/** In what the client throws once it has decided that it tries no more. */
function withoutWrapper(error: Error): Error {
  return error.name === 'KafkaJSNonRetriableError' && error.cause instanceof Error ? error.cause : error;
}

/** No broker could be reached just then. */
const outages = new Set(['KafkaJSGroupCoordinatorNotFound', 'KafkaJSNoBrokerAvailableError']);

export interface RetryOptions {
  /** After this long, a retryable error becomes permanent. */
  limitMs?: number;
  onRetry?: (error: Error, waitMs: number, attempt: number) => void;
  /** Ends the waiting; the last error is thrown as it is. */
  signal?: AbortSignal;
}

/** All tries again of the process, whoever makes them: what is counted as `retries_total`. */
const observers = new Set<() => void>();
/** @param observer called before each wait for another try */
export const observeRetries = (observer: () => void): void => void observers.add(observer);
/** A try again, of this process or of one that works for it. */
export function noteRetry(): void {
  for (const observer of observers) observer();
}

const firstWaitMs = 200;
const longestWaitMs = 15_000;
export const retryLimitMs = 15 * 60_000;

/** Conditions of the machine, which no record is to blame for: giving up would put good ones in dead letters. */
const waitedOutForEver: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['DISK_FULL_WAITING']);

/** The tries of one piece of work: exponential backoff with full jitter, and a limit. */
export class Attempts {
  private readonly startedAt = performance.now();
  failed = 0;

  constructor(private readonly limitMs = retryLimitMs) {}

  /** @returns how long to wait before the next try. @throws RETRIES_EXHAUSTED after the limit; an error that cannot pass as it is */
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

/** Tries until it succeeds. @throws RETRIES_EXHAUSTED after the limit; any other error at once */
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
