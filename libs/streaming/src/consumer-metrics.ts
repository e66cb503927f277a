/** What stages count of their work with broker and store: dead letters by code, and tries again. */
import type { DeadLetter } from '#contracts/dead-letters.js';
import { errorCodes, type ErrorCode } from '#contracts/pipeline-error.js';
import type { Metrics } from '#service/metrics.js';
import { observeRetries } from './retry.js';
import type { PassedOverRecord } from './table-follower.js';

/** @returns what a dead-letter office calls for each letter */
export function letterMetrics(metrics: Metrics): (letter: DeadLetter) => void {
  const buried = metrics.counter('dead_letters_total', 'Dead letters written, by code', ['code']);
  // A series that begins with its first letter would not be seen to rise: no alert would see the first of a kind.
  for (const code of Object.keys(errorCodes) as ErrorCode[]) if (errorCodes[code] === 'permanent') buried.inc({ code }, 0);
  return ({ code }) => buried.inc({ code });
}

/** Counts all tries again of this process, and what it is told of others' (`noteRetry`). */
export function retryMetrics(metrics: Metrics): void {
  const retries = metrics.counter('retries_total', 'Tries again after an error that may pass');
  observeRetries(() => retries.inc());
}

/** @returns what a follower calls for each record that it goes on without */
export function passedOverMetrics(metrics: Metrics): (passed: PassedOverRecord) => void {
  const counter = metrics.counter('records_passed_over_total', 'Records of followed topics that could not be read or applied', [
    'topic',
    'code',
  ]);
  return ({ topic, error }) => counter.inc({ topic, code: error.code });
}
