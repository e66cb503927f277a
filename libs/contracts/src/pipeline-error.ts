/**
 * The one error type of the pipeline. `code` says what went wrong (stable, documented, counted); `fate` says what the
 * stage does with the record: retry it, dead-letter it, or crash (any error that is not a PipelineError is `unknown`).
 */
export const errorCodes = {
  // audio: the bytes themselves
  AUDIO_NOT_RECOGNISED: 'permanent',
  AUDIO_UNDECODABLE: 'permanent',
  AUDIO_TRUNCATED: 'permanent',
  AUDIO_EMPTY: 'permanent',
  AUDIO_TOO_SHORT: 'permanent',
  AUDIO_TOO_LONG: 'permanent',
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
  ARCHIVE_INVALID: 'permanent',
  ARCHIVE_LIMIT_EXCEEDED: 'permanent',
  BUCKET_EVENT_UNRECOGNISED: 'permanent',
  RECORD_INVALID: 'permanent',
  UNKNOWN_REPEATED: 'permanent',
  RETRIES_EXHAUSTED: 'permanent',
  // the outside world
  STORAGE_UNAVAILABLE: 'retryable',
  // set-up and use; these stop a process with one clear line
  CONFIG_INVALID: 'permanent',
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
} as const satisfies Record<string, 'permanent' | 'retryable'>;

export type ErrorCode = keyof typeof errorCodes;
export type Fate = 'retryable' | 'permanent' | 'unknown';

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
