/** Transports an error from a child process to the trainer. A PipelineError stays one; other errors keep their stack. */
import { type ErrorCode, errorCodes, PipelineError } from '#contracts/pipeline-error.js';

export interface ProcessFailure {
  type: 'failed';
  code: ErrorCode | null;
  message: string;
  stack: string | undefined;
}

export function failureOf(error: unknown): ProcessFailure {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { type: 'failed', code: error instanceof PipelineError ? error.code : null, message, stack };
}

export function errorOf({ code, message, stack }: ProcessFailure): Error {
  if (code !== null && code in errorCodes) return new PipelineError(code, message);
  return Object.assign(new Error(message), { stack });
}
