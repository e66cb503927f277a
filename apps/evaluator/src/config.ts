/** Reads the settings of the evaluator from the environment. */
import { z } from 'zod';
import { readKafkaConnection, readServiceSettings, readStoreConnection } from '#service/connection-config.js';
import { field, readConfig } from '#service/read-config.js';

export function readEvaluatorConfig() {
  const read = readConfig({
    /** Addresses of the other services, for the lights of the dashboard. */
    INGEST_URL: field.text('http://127.0.0.1:7401'),
    FEATURES_URL: field.text('http://127.0.0.1:7402'),
    TRAINER_URL: field.text('http://127.0.0.1:7403'),
    /** A promotion needs at least this probability that the challenger is better on dev speakers. */
    PROMOTION_CONFIDENCE: z.coerce.number().min(0.5).max(1).default(0.95),
    /** A promotion may lower the recall of a class by at most this many percentage points. */
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
