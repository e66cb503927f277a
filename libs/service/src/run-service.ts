/**
 * Starts a service and ends it: HTTP on loopback, SIGTERM within 20 s, one clear line for an error that has a code,
 * a loud crash for one that has none. A service that was started with an IPC channel ends when its parent does.
 */
import 'reflect-metadata';
import type { DynamicModule, INestApplication } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { NestFactory } from '@nestjs/core';
import { PipelineError } from '#contracts/pipeline-error.js';
import { printableLines } from '#contracts/printable.js';
import type { ServiceSettings } from './connection-config.js';
import { guardHttp } from './http-server.js';
import { nestLogger, type Logger } from './logger.js';
import { flushTraces, startTracing } from './tracing.js';

export const shutdownLimitMs = 20_000;

export interface ServiceDefinition {
  stage: string;
  settings: ServiceSettings;
  logger: Logger;
  module: DynamicModule | (new () => unknown);
}

/** Builds the definition, starts it, and stays until the process is told to stop. Never throws: it exits. */
export async function runService(define: () => ServiceDefinition): Promise<void> {
  let logger: Logger | undefined;
  try {
    const definition = define();
    logger = definition.logger;
    crashLoudly(logger);
    startTracing(definition.stage, logger);
    const app = await NestFactory.create<NestExpressApplication>(definition.module, {
      logger: nestLogger(logger),
      abortOnError: false,
      bodyParser: false,
      forceCloseConnections: true,
    });
    guardHttp(app, definition.settings.access);
    stopWhenTold(app, logger);
    await listen(app, definition.settings);
    logger.info({ url: await app.getUrl() }, 'service started');
  } catch (error) {
    reportFatal(error, logger);
    process.exit(1);
  }
}

async function listen(app: INestApplication, { host, port, portVariable }: ServiceSettings): Promise<void> {
  try {
    await app.listen(port, host);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new PipelineError('PORT_IN_USE', `Port ${port} is in use. Stop what listens there, or set ${portVariable} to another port.`, {
      cause: error,
    });
  }
}

function stopWhenTold(app: INestApplication, logger: Logger): void {
  let stopping = false;
  const stop = (why: string): void => {
    if (stopping) return;
    stopping = true;
    logger.info({ why }, 'stopping');
    setTimeout(() => {
      logger.error('did not stop in time');
      process.exit(1);
    }, shutdownLimitMs).unref();
    const closed = app.close().then(() => flushTraces());
    closed.then(
      () => process.exit(0),
      (error: unknown) => {
        reportFatal(error, logger);
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
  process.once('disconnect', () => stop('the supervisor is gone'));
}

/** An error that nobody expected ends the process; its supervisor starts it again. */
function crashLoudly(logger: Logger): void {
  const crash = (error: unknown): void => {
    reportFatal(error, logger);
    process.exit(1);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
}

function reportFatal(reason: unknown, logger: Logger | undefined): void {
  const error = isDiskFull(reason) ? new PipelineError('DISK_FULL', `The disk is full: ${reason.message}`, { cause: reason }) : reason;
  if (error instanceof PipelineError) {
    logger?.fatal({ code: error.code, ...error.context }, error.message);
    process.stderr.write(`${error.code}: ${printableLines(error.message)}\n`);
    return;
  }
  logger?.fatal({ err: error }, 'crashed');
  process.stderr.write(`${printableLines(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`);
}

const isDiskFull = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOSPC';
