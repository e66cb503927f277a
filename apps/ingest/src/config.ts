/** Reads the settings of ingest from the environment. */
import { readKafkaConnection, readServiceSettings, readStoreConnection } from '#service/connection-config.js';
import { field, readConfig } from '#service/read-config.js';
import { defaultAnnotationLimits } from './annotation-limits.js';

export function readIngestConfig() {
  const read = readConfig({
    /** Seconds between listings of the bucket. A listing finds objects whose events were lost. */
    RECONCILE_INTERVAL: field.seconds(300),
    /** Most notifications that the webhook takes each second. A notification over 4 KiB counts as several. */
    BUCKET_EVENTS_PER_SECOND: field.whole(500, 1),
    /** Most megabytes of all annotation files of one corpus. */
    MANIFEST_MAX_MB: field.whole(64, 1),
    /** Most entries of one archive. */
    ARCHIVE_MAX_ENTRIES: field.whole(200_000, 1),
    /** Most gigabytes of one archive, unpacked. */
    ARCHIVE_MAX_GB: field.whole(50, 1),
    /** Most megabytes of one recording in an archive; unpacking takes as much memory. */
    ARCHIVE_MAX_ENTRY_MB: field.whole(256, 1),
    /** Most growth factor of an archive by unpacking, checked beyond 100 MB. */
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
