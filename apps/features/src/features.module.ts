import { Module, type DynamicModule } from '@nestjs/common';
import type { Logger } from '#service/logger.js';
import { ObservabilityModule } from '#service/observability.module.js';
import type { FeaturesConfig } from './config.js';
import { FeatureSettingsController } from './feature-settings.controller.js';
import { FEATURES_CONFIG, FeaturesStage } from './features-stage.js';

@Module({})
export class FeaturesModule {
  static with(config: FeaturesConfig, logger: Logger): DynamicModule {
    return {
      module: FeaturesModule,
      imports: [ObservabilityModule.forStage('features', logger)],
      controllers: [FeatureSettingsController],
      providers: [{ provide: FEATURES_CONFIG, useValue: config }, FeaturesStage],
    };
  }
}
