/** Settings of ingest, from the environment. */
import { readKafkaConnection, readServiceSettings, readStoreConnection } from '#service/connection-config.js';
import { field, readConfig } from '#service/read-config.js';

export function readIngestConfig() {
  const { RECONCILE_INTERVAL } = readConfig({
    /** Seconds between listings of the bucket, which heal events that never came. */
    RECONCILE_INTERVAL: field.seconds(300),
  });
  return {
    kafka: readKafkaConnection(),
    store: readStoreConnection(),
    service: readServiceSettings(7401, 'INGEST_PORT'),
    reconcileIntervalMs: RECONCILE_INTERVAL * 1000,
  };
}
export type IngestConfig = ReturnType<typeof readIngestConfig>;
