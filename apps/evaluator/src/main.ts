/** Evaluator: scores predictions (WA, UA, recall, confusion) and serves the dashboard of the whole pipeline. */
import { createLogger } from '#service/logger.js';
import { runService } from '#service/run-service.js';
import { readEvaluatorConfig } from './config.js';
import { EvaluatorModule } from './evaluator.module.js';

await runService(() => {
  const config = readEvaluatorConfig();
  const logger = createLogger('evaluator', config.service.logLevel);
  return { stage: 'evaluator', settings: config.service, logger, module: EvaluatorModule.with(config, logger) };
});
