import { Module, type DynamicModule } from '@nestjs/common';
import type { Logger } from '#service/logger.js';
import { ObservabilityModule } from '#service/observability.module.js';
import type { EvaluatorConfig } from './config.js';
import { DashboardController } from './dashboard.controller.js';
import { EVALUATOR_CONFIG, EvaluatorStage } from './evaluator-stage.js';

@Module({})
export class EvaluatorModule {
  static with(config: EvaluatorConfig, logger: Logger): DynamicModule {
    return {
      module: EvaluatorModule,
      imports: [ObservabilityModule.forStage('evaluator', logger)],
      controllers: [DashboardController],
      providers: [{ provide: EVALUATOR_CONFIG, useValue: config }, EvaluatorStage],
    };
  }
}
