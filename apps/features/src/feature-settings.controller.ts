/** `GET /settings`: the feature settings of each corpus. Answers 503 until they are known. */
import { Controller, Get, Inject, ServiceUnavailableException } from '@nestjs/common';
import type { SettingsAnswer } from '#audio/settings-by-corpus.js';
import { FeaturesStage } from './features-stage.js';

@Controller('settings')
export class FeatureSettingsController {
  constructor(@Inject(FeaturesStage) private readonly stage: FeaturesStage) {}

  @Get()
  settings(): SettingsAnswer {
    const answer = this.stage.settings();
    if (!answer) throw new ServiceUnavailableException('The consumers have not started yet. Ask again in a few seconds.');
    return answer;
  }
}
