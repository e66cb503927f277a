/** Metrics of every stage: dead letters by code, retries, and skipped records. */
import type { DeadLetter } from '#contracts/dead-letters.js';
import { errorCodes, type ErrorCode } from '#contracts/pipeline-error.js';
import type { Metrics } from '#service/metrics.js';
import { observeRetries } from './retry.js';
import type { PassedOverRecord } from './table-follower.js';

/** @returns a function for the dead-letter office to call for each letter */
export function letterMetrics(metrics: Metrics): (letter: DeadLetter) => void {
  const letters = metrics.counter('dead_letters_total', 'Dead letters written, by code', ['code']);
  // Each series starts at 0. A series that starts with its first letter shows no increase, so no alert would see that letter.
  for (const code of Object.keys(errorCodes) as ErrorCode[]) if (errorCodes[code] === 'permanent') letters.inc({ code }, 0);
  return ({ code }) => letters.inc({ code });
}

/** Counts all retries of this process, and those that others report (`noteRetry`). */
export function retryMetrics(metrics: Metrics): void {
  const retries = metrics.counter('retries_total', 'Retries after a retryable error');
  observeRetries(() => retries.inc());
}

/**
 * @param topics that the follower reads; each has a count from the start, so that an alert has something to look at
 * @returns a function for a follower to call for each skipped record
 */
export function passedOverMetrics(metrics: Metrics, topics: readonly string[]): (passed: PassedOverRecord) => void {
  const counter = metrics.counter('records_passed_over_total', 'Records of followed topics that could not be read or applied', [
    'topic',
    'code',
  ]);
  for (const topic of topics) counter.inc({ topic, code: 'RECORD_INVALID' }, 0);
  return ({ topic, error }) => counter.inc({ topic, code: error.code });
}
