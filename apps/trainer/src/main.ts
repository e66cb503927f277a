/** Trainer: trains models on shards, round after round. */
import { createLogger } from '#service/logger.js';
import { runService } from '#service/run-service.js';
import { readTrainerConfig } from './config.js';
import { TrainerModule } from './trainer.module.js';

await runService(() => {
  const config = readTrainerConfig();
  const logger = createLogger('trainer', config.service.logLevel);
  return { stage: 'trainer', settings: config.service, logger, module: TrainerModule.with(config, logger) };
});
