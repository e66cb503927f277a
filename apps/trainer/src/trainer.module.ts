import { Module, type DynamicModule } from '@nestjs/common';
import type { Logger } from '#service/logger.js';
import { ObservabilityModule } from '#service/observability.module.js';
import { CompactionStage } from './compaction-stage.js';
import type { TrainerConfig } from './config.js';
import { ExperimentStage } from './experiment-stage.js';
import { TrainerController } from './trainer.controller.js';
import { TRAINER_CONFIG, TrainerStage } from './trainer-stage.js';

@Module({})
export class TrainerModule {
  static with(config: TrainerConfig, logger: Logger): DynamicModule {
    return {
      module: TrainerModule,
      imports: [ObservabilityModule.forStage('trainer', logger)],
      controllers: [TrainerController],
      providers: [{ provide: TRAINER_CONFIG, useValue: config }, TrainerStage, CompactionStage, ExperimentStage],
    };
  }
}
