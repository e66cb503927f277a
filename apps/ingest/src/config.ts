/** Settings of ingest, from the environment. */
import { readKafkaConnection, readServiceSettings, readStoreConnection, servicePorts } from '#service/connection-config.js';
import { field, readConfig } from '#service/read-config.js';
import { defaultAnnotationLimits } from './annotation-limits.js';

export const ingestVariables = {
  RECONCILE_INTERVAL: field
    .seconds(300)
    .describe('Time between two listings of the bucket. A listing finds the changes that no notification announced.'),
  BUCKET_EVENTS_PER_SECOND: field
    .whole(500, 1)
    .describe('Notifications of at most 4 KiB that the webhook accepts each second. A larger notification counts as several.'),
  MANIFEST_MAX_MB: field.wholeIn('MB', 64, 1).describe('Largest total size of the annotation files of one corpus.'),
  ARCHIVE_MAX_ENTRIES: field.wholeIn('entries', 200_000, 1).describe('Most entries of one archive.'),
  ARCHIVE_MAX_GB: field
    .wholeIn('GB', 50, 1)
    .describe('Largest size of one archive, unpacked. Ingest spools the archive to the temporary folder first.'),
  ARCHIVE_MAX_ENTRY_MB: field.wholeIn('MB', 256, 1).describe('Largest file in an archive. Ingest holds one such file in memory.'),
  ARCHIVE_MAX_RATIO: field
    .whole(100, 1)
    .describe('Largest ratio of unpacked to packed size of an archive. The limit applies from 100 MB of unpacked data on.'),
};

export function readIngestConfig() {
  const read = readConfig(ingestVariables);
  return {
    kafka: readKafkaConnection(),
    store: readStoreConnection(),
    service: readServiceSettings(servicePorts.ingest, 'INGEST_PORT'),
    bucketEventsPerSecond: read.BUCKET_EVENTS_PER_SECOND,
    reconcileIntervalMs: read.RECONCILE_INTERVAL * 1000,
    annotationLimits: { ...defaultAnnotationLimits, totalBytes: read.MANIFEST_MAX_MB * 1e6 },
    archiveLimits: {
      entries: read.ARCHIVE_MAX_ENTRIES,
      totalBytes: read.ARCHIVE_MAX_GB * 1e9,
      entryBytes: read.ARCHIVE_MAX_ENTRY_MB * 1e6,
      ratio: read.ARCHIVE_MAX_RATIO,
    },
  };
}
export type IngestConfig = ReturnType<typeof readIngestConfig>;
