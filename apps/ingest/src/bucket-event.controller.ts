/** `POST /bucket-events`: where an object store that cannot write to Kafka sends its notifications. */
import { Body, Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { IngestStage } from './ingest-stage.js';

@Controller('bucket-events')
export class BucketEventController {
  constructor(@Inject(IngestStage) private readonly stage: IngestStage) {}

  /** 202 once the event is durable; the sender tries again otherwise. */
  @Post()
  @HttpCode(202)
  async accept(@Body() event: unknown): Promise<{ accepted: true }> {
    await this.stage.acceptEvent(event);
    return { accepted: true };
  }
}
