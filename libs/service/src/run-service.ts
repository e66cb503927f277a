/**
 * Starts and stops a service. It serves HTTP on loopback and stops within 20 s of SIGTERM. An error with a code prints one line;
 * any other error crashes the process with its stack. A service that was started with an IPC channel ends with its parent.
 */
import 'reflect-metadata';
import type { DynamicModule, INestApplication } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { NestFactory } from '@nestjs/core';
import { PipelineError } from '#contracts/pipeline-error.js';
import { printableLines } from '#contracts/printable.js';
import type { ServiceSettings } from './connection-config.js';
import { type BodyRules, guardHttp } from './http-server.js';
import { nestLogger, type Logger } from './logger.js';
import { flushTraces, startTracing } from './tracing.js';

export const shutdownLimitMs = 20_000;

export interface ServiceDefinition {
  stage: string;
  settings: ServiceSettings;
  logger: Logger;
  module: DynamicModule | (new () => unknown);
  /** Default: bodies of at most 256 KiB. */
  body?: BodyRules;
}

/** Builds the definition and runs the service until the process is stopped. It never throws; on an error it exits. */
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
    guardHttp(app, definition.settings.access, definition.body);
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
    throw new PipelineError(
      'PORT_IN_USE',
      `Port ${port} is in use. Stop the program that listens there, or set ${portVariable} to another port.`,
      {
        cause: error,
      },
    );
  }
}

function stopWhenTold(app: INestApplication, logger: Logger): void {
  let stopping = false;
  const stop = (why: string): void => {
    if (stopping) return;
    stopping = true;
    logger.info({ why }, 'stopping');
    setTimeout(() => {
      logger.error('did not stop in time; exiting');
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
  process.once('disconnect', () => stop('the supervisor has ended'));
}

/** An unexpected error ends the process. Its supervisor restarts it. */
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
