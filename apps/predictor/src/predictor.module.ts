import { Module, type DynamicModule } from '@nestjs/common';
import type { Logger } from '#service/logger.js';
import { ObservabilityModule } from '#service/observability.module.js';
import { AudioPredictor } from './audio-predictor.js';
import type { PredictorConfig } from './config.js';
import { LiveStreams } from './live/live-streams.js';
import { PredictorController } from './predictor.controller.js';
import { PREDICTOR_CONFIG, PredictorStage } from './predictor-stage.js';

@Module({})
export class PredictorModule {
  static with(config: PredictorConfig, logger: Logger): DynamicModule {
    return {
      module: PredictorModule,
      imports: [ObservabilityModule.forStage('predictor', logger)],
      controllers: [PredictorController],
      providers: [{ provide: PREDICTOR_CONFIG, useValue: config }, PredictorStage, AudioPredictor, LiveStreams],
    };
  }
}
