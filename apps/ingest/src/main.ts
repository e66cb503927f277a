/** Ingest: turns objects in the bucket into utterance records. */
import { createLogger } from '#service/logger.js';
import { runService } from '#service/run-service.js';
import { readIngestConfig } from './config.js';
import { IngestModule } from './ingest.module.js';

await runService(() => {
  const config = readIngestConfig();
  const logger = createLogger('ingest', config.service.logLevel);
  return { stage: 'ingest', settings: config.service, logger, module: IngestModule.with(config, logger) };
});
