/**
 * Decides the outcome of a record on which a worker failed. No other file does.
 *
 * | error                                               | outcome                                                          |
 * |-----------------------------------------------------|------------------------------------------------------------------|
 * | a code whose fate is `retryable`; an outage of Kafka | tried again for 15 minutes, then a dead letter RETRIES_EXHAUSTED |
 * | a code whose fate is `permanent`                    | a dead letter, at once                                           |
 * | a code whose fate is `fatal`                        | the process ends with one line; the record comes again           |
 * | any other error                                     | tried again twice, then a dead letter UNKNOWN_REPEATED           |
 * | the process died three times with the record in hand | a dead letter UNKNOWN_REPEATED, without another try              |
 *
 * The codes and their fates stand in libs/contracts/src/pipeline-error.ts. Counts of unknown errors and of deaths are
 * durable, and belong to the recording or object (libs/storage/src/crash-counter.ts).
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { fateOf, noteRetry, type Attempts } from './retry.js';

/** The worker has taken the record, and settles it when its effects are durable. */
export interface Taken {
  kind: 'taken';
}
export interface Retry {
  kind: 'retry';
  waitMs: number;
}
export interface DeadLetter {
  kind: 'dead-letter';
  error: PipelineError;
}
/** Every other record would fail in the same way. */
export interface Stop {
  kind: 'stop';
  error: unknown;
}
export type Outcome = Taken | Retry | DeadLetter | Stop;

/** After this many unknown errors and deaths of the process, the record becomes a dead letter. */
export const failureLimit = 3;
const firstWaitMs = 500;

/** The tries of one record so far. */
export interface Tries {
  /** Its retries through outages, and their clock. */
  attempts: Attempts;
  /** Number of unknown errors and deaths of the process, including the present failure. */
  unknown: number;
}

export function decideFailure(error: unknown, { attempts, unknown }: Tries): Exclude<Outcome, Taken> {
  switch (fateOf(error)) {
    case 'fatal':
      return { kind: 'stop', error };
    case 'permanent':
      return { kind: 'dead-letter', error: error as PipelineError };
    case 'retryable':
      return throughOutage(error, attempts);
    case 'unknown':
      return unknown >= failureLimit
        ? { kind: 'dead-letter', error: repeated(error, unknown) }
        : { kind: 'retry', waitMs: backOff(unknown) };
  }
}

/** The outcome of a record that killed its process too often. */
export const tooManyDeaths = (failures: number): DeadLetter => ({
  kind: 'dead-letter',
  error: new PipelineError(
    'UNKNOWN_REPEATED',
    `The process failed or died ${failures} times with this record in hand, perhaps for lack of memory. It was not tried again; \`undertone replay\` tries it again.`,
  ),
});

function throughOutage(error: unknown, attempts: Attempts): Retry | DeadLetter {
  try {
    return { kind: 'retry', waitMs: attempts.waitAfter(error) };
  } catch (exhausted) {
    return { kind: 'dead-letter', error: exhausted as PipelineError };
  }
}

/** The wait with jitter: about 0.5 s after the first failure, 2 s after the second. */
function backOff(failures: number): number {
  noteRetry();
  return Math.round(firstWaitMs * 4 ** (failures - 1) * (0.75 + Math.random() / 2));
}

function repeated(error: unknown, failures: number): PipelineError {
  return new PipelineError('UNKNOWN_REPEATED', `An unknown error failed this record ${failures} times: ${describeError(error)}`, {
    cause: error,
  });
}

const stackLines = 3;
const longestDescription = 1_000;

/** @returns name, message and the first lines of the stack, without the folders of the program */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error).slice(0, longestDescription);
  const lines = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const places = lines
    .slice(0, stackLines)
    .map((line) => line.trim().replace(/(file:\/\/)?\/[^\s()]*?\/(?=(dist|libs|apps|node_modules)\/)/, ''));
  return [`${error.name}: ${error.message}`.slice(0, longestDescription), ...places].join('; ');
}
