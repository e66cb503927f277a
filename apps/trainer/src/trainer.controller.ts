/** `GET /status`: what the trainer is doing, or waiting for. */
import { Controller, Get, Inject } from '@nestjs/common';
import { TrainerStage, type TrainerStatus } from './trainer-stage.js';

@Controller('status')
export class TrainerController {
  constructor(@Inject(TrainerStage) private readonly stage: TrainerStage) {}

  @Get()
  status(): TrainerStatus {
    return this.stage.status();
  }
}
