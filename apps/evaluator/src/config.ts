/** Settings of the evaluator, from the environment. */
import { z } from 'zod';
import { readKafkaConnection, readServiceSettings, readStoreConnection } from '#service/connection-config.js';
import { field, readConfig } from '#service/read-config.js';

export function readEvaluatorConfig() {
  const read = readConfig({
    /** Where the other services answer, for the dashboard's lights. */
    INGEST_URL: field.text('http://127.0.0.1:7401'),
    FEATURES_URL: field.text('http://127.0.0.1:7402'),
    TRAINER_URL: field.text('http://127.0.0.1:7403'),
    /** The probability of being better on dev speakers that a promotion needs. */
    PROMOTION_CONFIDENCE: z.coerce.number().min(0.5).max(1).default(0.95),
    /** Percentage points by which the recall of a class may fall with a promotion. */
    PROMOTION_MAX_RECALL_FALL: z.coerce.number().min(0).max(100).default(10),
  });
  return {
    kafka: readKafkaConnection(),
    store: readStoreConnection(),
    service: readServiceSettings(7400, 'EVALUATOR_PORT'),
    stageUrls: { ingest: read.INGEST_URL, features: read.FEATURES_URL, trainer: read.TRAINER_URL },
    promotion: { confidence: read.PROMOTION_CONFIDENCE, maxRecallFallPoints: read.PROMOTION_MAX_RECALL_FALL },
  };
}
export type EvaluatorConfig = ReturnType<typeof readEvaluatorConfig>;
