/**
 * Answers errors as `application/problem+json` with the pipeline's codes. An unexpected error is logged, and its answer says nothing
 * about it: it may hold a part of a recording or a name of the bucket.
 */
import { type ServerResponse, STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Inject } from '@nestjs/common';
import { type ErrorCode, PipelineError } from '#contracts/pipeline-error.js';
import { printable } from '#contracts/printable.js';
import type { Logger } from '#service/logger.js';
import { LOGGER } from '#service/observability.module.js';
import type { Problem } from './predictor-answers.js';

/** Codes that are not the fault of the recording. All AUDIO_* codes are 422. */
const statusOf: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  OBJECT_KEY_INVALID: 400,
  OBJECT_GONE: 404,
  UTTERANCE_UNKNOWN: 404,
  FEATURE_SETTINGS_MISMATCH: 409,
  REQUEST_TOO_LARGE: 413,
  DECODER_MISSING: 422,
  PREDICTOR_BUSY: 503,
  MODEL_MISSING: 503,
  STORAGE_UNAVAILABLE: 503,
  RETRIES_EXHAUSTED: 503,
  DISK_FULL_WAITING: 503,
  PREREQUISITE_MISSING: 503,
};
const retryAfterSec = 2;

export function problemOf(error: unknown): Problem {
  if (error instanceof PipelineError) {
    const status = statusOf[error.code] ?? (error.code.startsWith('AUDIO_') ? 422 : 500);
    return { ...about(status), detail: printable(error.message), code: error.code };
  }
  if (error instanceof HttpException) return { ...about(error.getStatus()), detail: printable(error.message) };
  return { ...about(500), detail: 'The predictor failed. Its log has the reason.' };
}

const about = (status: number): Pick<Problem, 'type' | 'title' | 'status'> => ({
  type: 'about:blank',
  title: STATUS_CODES[status] ?? 'Error',
  status,
});

@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(@Inject(LOGGER) private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const problem = problemOf(error);
    if (problem.status === 500) this.logger.error({ err: error }, 'a request failed');
    answerProblem(host.switchToHttp().getResponse<ServerResponse>(), problem);
  }
}

export function answerProblem(response: ServerResponse, problem: Problem): void {
  if (response.headersSent) return;
  if (problem.status === 503 || problem.status === 429) response.setHeader('Retry-After', retryAfterSec);
  response.writeHead(problem.status, { 'Content-Type': 'application/problem+json; charset=utf-8' });
  response.end(JSON.stringify(problem));
}
