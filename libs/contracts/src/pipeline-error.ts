/**
 * The one error type of the pipeline. `code` says what went wrong; it is stable, documented and counted. `fate` says what a
 * stage does when a record meets the error. `retryable`: the stage tries again. `permanent`: it writes a dead letter.
 * `fatal`: it ends the process with one line, because every other record would meet the error too. Any other error is
 * `unknown`: the stage tries twice more and then writes a dead letter (libs/streaming/src/failure.ts).
 */
export const errorCodes = {
  // audio: the bytes themselves
  AUDIO_NOT_RECOGNISED: 'permanent',
  AUDIO_UNDECODABLE: 'permanent',
  AUDIO_TRUNCATED: 'permanent',
  AUDIO_EMPTY: 'permanent',
  AUDIO_TOO_SHORT: 'permanent',
  AUDIO_TOO_LONG: 'permanent',
  AUDIO_TOO_LARGE: 'permanent',
  AUDIO_SILENT: 'permanent',
  AUDIO_NON_FINITE: 'permanent',
  AUDIO_DECODE_TIMEOUT: 'permanent',
  DECODER_MISSING: 'permanent',
  // objects and annotations
  OBJECT_GONE: 'permanent',
  OBJECT_CHECKSUM_MISMATCH: 'permanent',
  OBJECT_KEY_INVALID: 'permanent',
  OBJECT_REFUSED: 'permanent',
  MANIFEST_INVALID: 'permanent',
  CORPUS_OPTIONS_INVALID: 'permanent',
  ANNOTATIONS_UNREADABLE: 'permanent',
  ARCHIVE_INVALID: 'permanent',
  ARCHIVE_LIMIT_EXCEEDED: 'permanent',
  BUCKET_EVENT_UNRECOGNISED: 'permanent',
  RECORD_INVALID: 'permanent',
  RECORD_NOT_APPLIED: 'permanent',
  UNKNOWN_REPEATED: 'permanent',
  RETRIES_EXHAUSTED: 'permanent',
  // the outside world
  STORAGE_UNAVAILABLE: 'retryable',
  DISK_FULL_WAITING: 'retryable',
  // set-up and use; these stop a process with one clear line
  CONFIG_INVALID: 'fatal',
  PREREQUISITE_MISSING: 'permanent',
  SETUP_FAILED: 'permanent',
  PORT_IN_USE: 'permanent',
  DISK_FULL: 'permanent',
  TOPIC_MISMATCH: 'permanent',
  LEASE_LOST: 'permanent',
  LEASE_HELD: 'permanent',
  CHECKPOINT_INVALID: 'permanent',
  MODEL_DIVERGED: 'permanent',
  SETTINGS_INVALID: 'permanent',
  SPEAKER_LEAK: 'permanent',
  FEATURE_SETTINGS_MISMATCH: 'permanent',
  // answers of the predictor
  MODEL_MISSING: 'permanent',
  REQUEST_INVALID: 'permanent',
  REQUEST_TOO_LARGE: 'permanent',
  PREDICTOR_BUSY: 'permanent',
  UTTERANCE_UNKNOWN: 'permanent',
} as const satisfies Record<string, 'permanent' | 'retryable' | 'fatal'>;

export type ErrorCode = keyof typeof errorCodes;
export type Fate = 'retryable' | 'permanent' | 'fatal' | 'unknown';

export interface PipelineErrorOptions {
  cause?: unknown;
  /** Small, loggable facts: object key, utterance id, sizes. Never audio, never secrets. */
  context?: Record<string, string | number | boolean | undefined>;
}

export class PipelineError extends Error {
  readonly code: ErrorCode;
  readonly fate: Exclude<Fate, 'unknown'>;
  readonly context: Record<string, string | number | boolean | undefined>;

  constructor(code: ErrorCode, message: string, options: PipelineErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'PipelineError';
    this.code = code;
    this.fate = errorCodes[code];
    this.context = options.context ?? {};
  }
}
