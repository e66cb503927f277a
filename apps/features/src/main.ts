/** Features: turns utterance records into sealed shards of spectrogram tiles. */
import { createLogger } from '#service/logger.js';
import { runService } from '#service/run-service.js';
import { readFeaturesConfig } from './config.js';
import { FeaturesModule } from './features.module.js';

await runService(() => {
  const config = readFeaturesConfig();
  const logger = createLogger('features', config.service.logLevel);
  return { stage: 'features', settings: config.service, logger, module: FeaturesModule.with(config, logger) };
});
