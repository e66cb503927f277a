/** Structured logs: JSON lines, or readable ones on a terminal, with the trace that a line belongs to. */
import type { LoggerService } from '@nestjs/common';
import pino, { type Logger } from 'pino';
import { traceOfLog } from './spans.js';

export type { Logger };

export function createLogger(stage: string, level: string): Logger {
  const options = { level, base: { stage }, timestamp: pino.stdTimeFunctions.isoTime, mixin: traceOfLog };
  return process.stdout.isTTY
    ? pino({ ...options, transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname' } } })
    : pino(options);
}

/** Nest's own messages, through the same logger: its start-up chatter is debug. */
export function nestLogger(logger: Logger): LoggerService {
  const text = (message: unknown): string => (message instanceof Error ? message.message : String(message));
  return {
    log: (message) => logger.debug(text(message)),
    debug: (message) => logger.debug(text(message)),
    verbose: (message) => logger.trace(text(message)),
    warn: (message) => logger.warn(text(message)),
    error: (message, ...rest) => logger.error({ rest }, text(message)),
    fatal: (message) => logger.fatal(text(message)),
  };
}
