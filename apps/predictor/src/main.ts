/** Predictor: scores each live utterance with the champion, and answers predictions over HTTP. */
import { createLogger } from '#service/logger.js';
import { runService } from '#service/run-service.js';
import { admitBodies } from './admit-bodies.js';
import { readPredictorConfig } from './config.js';
import { PredictorModule } from './predictor.module.js';

await runService(() => {
  const config = readPredictorConfig();
  const logger = createLogger('predictor', config.service.logLevel);
  const maxBytes = config.maxFileBytes;
  return {
    stage: 'predictor',
    settings: config.service,
    logger,
    module: PredictorModule.with(config, logger),
    body: {
      maxBytes,
      remedy: 'Send a shorter file, or raise PREDICT_MAX_MB.',
      admit: admitBodies({ maxBytes, memoryBytes: config.memoryBytes }),
    },
  };
});
