import { Module, type DynamicModule } from '@nestjs/common';
import type { Logger } from '#service/logger.js';
import { ObservabilityModule } from '#service/observability.module.js';
import { BucketEventController } from './bucket-event.controller.js';
import type { IngestConfig } from './config.js';
import { INGEST_CONFIG, IngestStage } from './ingest-stage.js';

@Module({})
export class IngestModule {
  static with(config: IngestConfig, logger: Logger): DynamicModule {
    return {
      module: IngestModule,
      imports: [ObservabilityModule.forStage('ingest', logger)],
      controllers: [BucketEventController],
      providers: [{ provide: INGEST_CONFIG, useValue: config }, IngestStage],
    };
  }
}
