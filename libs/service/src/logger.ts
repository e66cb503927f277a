/** Structured logs: JSON lines, or readable lines on a terminal, each with its trace. */
import type { LoggerService } from '@nestjs/common';
import pino, { type Logger, type LoggerOptions } from 'pino';
import { printable, printableLines } from '#contracts/printable.js';
import { traceOfLog } from './spans.js';

export type { Logger };

export function createLogger(stage: string, level: string): Logger {
  const options = { level, base: { stage }, timestamp: pino.stdTimeFunctions.isoTime, mixin: traceOfLog };
  return process.stdout.isTTY
    ? pino({ ...options, ...terminalSafe, transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname' } } })
    : pino(options);
}

/** Sends Nest's own messages to the same logger. Its start-up messages get level debug. */
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

/** Escapes control characters, because pino-pretty writes messages unchanged. JSON escapes most of them by itself. */
export const terminalSafe: LoggerOptions = {
  hooks: {
    logMethod(words, log) {
      log.apply(this, words.map((word: unknown) => (typeof word === 'string' ? printable(word) : word)) as typeof words);
    },
  },
  formatters: { log: (fields) => printableFields(fields) as Record<string, unknown> },
  serializers: {
    err: (error: Error) => {
      const { stack, message, ...rest } = pino.stdSerializers.err(error);
      return { ...rest, message: printable(message), stack: printableLines(stack) };
    },
  },
};

/** Escapes strings in fields. The serializer handles errors. */
function printableFields(value: unknown): unknown {
  if (typeof value === 'string') return printable(value);
  if (Array.isArray(value)) return value.map(printableFields);
  if (typeof value !== 'object' || value === null || value instanceof Error) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [printable(name), printableFields(field)]));
}
