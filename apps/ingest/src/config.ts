/** Settings of ingest, from the environment. */
import { readKafkaConnection, readServiceSettings, readStoreConnection } from '#service/connection-config.js';
import { field, readConfig } from '#service/read-config.js';
import { defaultAnnotationLimits } from './annotation-limits.js';

export function readIngestConfig() {
  const read = readConfig({
    /** Seconds between listings of the bucket, which heal events that never came. */
    RECONCILE_INTERVAL: field.seconds(300),
    /** Notifications of at most 4 KiB that the webhook takes each second; a larger one counts as several. */
    BUCKET_EVENTS_PER_SECOND: field.whole(500, 1),
    /** Megabytes of the annotation files of one corpus, together. */
    MANIFEST_MAX_MB: field.whole(64, 1),
    /** Entries of one archive. */
    ARCHIVE_MAX_ENTRIES: field.whole(200_000, 1),
    /** Gigabytes of one archive, unpacked. */
    ARCHIVE_MAX_GB: field.whole(50, 1),
    /** Megabytes of one recording in an archive; so much memory is taken for it. */
    ARCHIVE_MAX_ENTRY_MB: field.whole(256, 1),
    /** Times that an archive may grow as it is unpacked, once it is past 100 MB. */
    ARCHIVE_MAX_RATIO: field.whole(100, 1),
  });
  return {
    kafka: readKafkaConnection(),
    store: readStoreConnection(),
    service: readServiceSettings(7401, 'INGEST_PORT'),
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
