/** Reads the settings of the evaluator from the environment. */
import { z } from 'zod';
import { readKafkaConnection, readServiceSettings, readStoreConnection, servicePorts } from '#service/connection-config.js';
import { field, readConfig } from '#service/read-config.js';

export const evaluatorVariables = {
  INGEST_URL: field
    .text('http://127.0.0.1:7401')
    .describe('Address of ingest. The evaluator asks it for its health. A stack sets this itself.'),
  FEATURES_URL: field
    .text('http://127.0.0.1:7402')
    .describe('Address of features. The evaluator asks it for its health. A stack sets this itself.'),
  TRAINER_URL: field
    .text('http://127.0.0.1:7403')
    .describe('Address of the trainer. The evaluator asks it for its health. A stack sets this itself.'),
  PREDICTOR_URL: field
    .text('http://127.0.0.1:7404')
    .describe('Address of the predictor. The evaluator asks it for its health. A stack sets this itself.'),
  PROMOTION_CONFIDENCE: z.coerce
    .number()
    .min(0.5)
    .max(1)
    .default(0.95)
    .describe('Probability, from 0.5 to 1, of being better on dev speakers that a model needs to become the champion.'),
  PROMOTION_MAX_RECALL_FALL: z.coerce
    .number()
    .min(0)
    .max(100)
    .default(10)
    .meta({ unit: 'percentage points' })
    .describe('A model does not become the champion if the recall of a class falls by more than this.'),
};

export function readEvaluatorConfig() {
  const read = readConfig(evaluatorVariables);
  return {
    kafka: readKafkaConnection(),
    store: readStoreConnection(),
    service: readServiceSettings(servicePorts.evaluator, 'EVALUATOR_PORT'),
    stageUrls: { ingest: read.INGEST_URL, features: read.FEATURES_URL, trainer: read.TRAINER_URL, predictor: read.PREDICTOR_URL },
    promotion: { confidence: read.PROMOTION_CONFIDENCE, maxRecallFallPoints: read.PROMOTION_MAX_RECALL_FALL },
  };
}
export type EvaluatorConfig = ReturnType<typeof readEvaluatorConfig>;
