/** What every stage counts of the records that it takes: dead letters by code, and tries again. */
import type { DeadLetter } from '#contracts/dead-letters.js';
import { errorCodes, type ErrorCode } from '#contracts/pipeline-error.js';
import type { Metrics } from '#service/metrics.js';

export interface ConsumerMetrics {
  onBuried: (letter: DeadLetter) => void;
  onRetry: () => void;
}

export function consumerMetrics(metrics: Metrics): ConsumerMetrics {
  const buried = metrics.counter('dead_letters_total', 'Dead letters written, by code', ['code']);
  // A series that begins with its first letter would not be seen to rise: no alert would see the first of a kind.
  for (const code of Object.keys(errorCodes) as ErrorCode[]) if (errorCodes[code] === 'permanent') buried.inc({ code }, 0);
  const retries = metrics.counter('retries_total', 'Tries again after an error that may pass');
  return { onBuried: ({ code }) => buried.inc({ code }), onRetry: () => retries.inc() };
}
