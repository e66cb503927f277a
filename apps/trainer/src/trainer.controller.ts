/** `GET /status`: the present work of the trainer, or the reason why it waits. */
import { Controller, Get, Inject } from '@nestjs/common';
import type { TrainerStatus } from '#rounds/trainer-status.js';
import { TrainerStage } from './trainer-stage.js';

@Controller('status')
export class TrainerController {
  constructor(@Inject(TrainerStage) private readonly stage: TrainerStage) {}

  @Get()
  status(): TrainerStatus {
    return this.stage.status();
  }
}
