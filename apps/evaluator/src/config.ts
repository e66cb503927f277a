/** Settings of the evaluator, from the environment. */
import { readKafkaConnection, readServiceSettings, readStoreConnection } from '#service/connection-config.js';
import { field, readConfig } from '#service/read-config.js';

export function readEvaluatorConfig() {
  const { INGEST_URL, FEATURES_URL, TRAINER_URL } = readConfig({
    /** Where the other services answer, for the dashboard's lights. */
    INGEST_URL: field.text('http://127.0.0.1:7401'),
    FEATURES_URL: field.text('http://127.0.0.1:7402'),
    TRAINER_URL: field.text('http://127.0.0.1:7403'),
  });
  return {
    kafka: readKafkaConnection(),
    store: readStoreConnection(),
    service: readServiceSettings(7400, 'EVALUATOR_PORT'),
    stageUrls: { ingest: INGEST_URL, features: FEATURES_URL, trainer: TRAINER_URL },
  };
}
export type EvaluatorConfig = ReturnType<typeof readEvaluatorConfig>;
