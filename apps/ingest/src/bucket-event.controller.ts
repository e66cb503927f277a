/**
 * `POST /bucket-events` takes the notifications of an object store that cannot write to Kafka.
 *
 * Delivery: at most once. A refused notification, also one over the rate limit, is lost unless its sender tries again. The next
 * listing of the bucket finds its object.
 */
import {
  BadRequestException,
  Controller,
  HttpCode,
  HttpException,
  Inject,
  Post,
  Req,
  Res,
  ServiceUnavailableException,
} from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseOutsideJson, usualMaxDepth } from '#contracts/outside-json.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { maxBodyBytes } from '#service/http-server.js';
import { RateLimit } from '#service/rate-limit.js';
import { INGEST_CONFIG, IngestStage } from './ingest-stage.js';
import type { IngestConfig } from './config.js';

/** A notification of one object has about 1 kB. A larger one counts as several, so that the rate bounds bytes too. */
const bytesPerCost = 4096;
const burstSeconds = 5;
/** Most notifications that may wait for the broker, in the unit of the rate. */
const mostPending = 8192;

@Controller('bucket-events')
export class BucketEventController {
  private readonly limit: RateLimit;
  private pending = 0;

  constructor(
    @Inject(IngestStage) private readonly stage: IngestStage,
    @Inject(INGEST_CONFIG) { bucketEventsPerSecond }: IngestConfig,
  ) {
    this.limit = new RateLimit({ perSecond: bucketEventsPerSecond, burst: burstSeconds * bucketEventsPerSecond });
  }

  /** Answers 202 once the event is durable. Otherwise the sender tries again. */
  @Post()
  @HttpCode(202)
  async accept(
    @Req() { body }: IncomingMessage & { body?: unknown },
    @Res({ passthrough: true }) response: ServerResponse,
  ): Promise<{ accepted: true }> {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
    const cost = Math.max(1, Math.ceil(bytes.length / bytesPerCost));
    const waitSeconds = this.limit.take(cost);
    if (waitSeconds > 0) {
      response.setHeader('Retry-After', Math.ceil(waitSeconds));
      throw new HttpException('More notifications come than BUCKET_EVENTS_PER_SECOND allows. Send this one again later.', 429);
    }
    if (this.pending + cost > mostPending) {
      response.setHeader('Retry-After', 10);
      throw new ServiceUnavailableException('Too many notifications wait for the broker. Send this one again later.');
    }
    await this.publish(eventIn(bytes), cost);
    return { accepted: true };
  }

  private async publish(event: unknown, cost: number): Promise<void> {
    this.pending += cost;
    try {
      await this.stage.acceptEvent(event);
    } finally {
      this.pending -= cost;
    }
  }
}

/** @throws BadRequestException if the body is not JSON, or is nested too deeply */
function eventIn(bytes: Buffer): unknown {
  try {
    return parseOutsideJson(bytes, {
      maxBytes: maxBodyBytes,
      maxDepth: usualMaxDepth,
      code: 'BUCKET_EVENT_UNRECOGNISED',
      noun: 'The notification',
    });
  } catch (error) {
    if (error instanceof PipelineError) throw new BadRequestException(error.message);
    throw error;
  }
}
