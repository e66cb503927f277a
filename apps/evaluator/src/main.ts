/** Evaluator: predictions become WA, UA, recall and confusion, and a dashboard shows the whole pipeline. */
import { createLogger } from '#service/logger.js';
import { runService } from '#service/run-service.js';
import { readEvaluatorConfig } from './config.js';
import { EvaluatorModule } from './evaluator.module.js';

await runService(() => {
  const config = readEvaluatorConfig();
  const logger = createLogger('evaluator', config.service.logLevel);
  return { stage: 'evaluator', settings: config.service, logger, module: EvaluatorModule.with(config, logger) };
});
