/** The messages between the trainer and a compaction process. */
import type { KafkaConnection, StoreConnection } from '#service/connection-config.js';
import type { StoreCall } from '#storage/object-store.js';
import type { CompactionParts, CompactionReport } from '#compaction/compaction-job.js';
import type { CleanPredictions } from '#compaction/sweep-objects.js';
import type { ProcessFailure } from './process-failure.js';

export interface CompactionSetup extends Pick<CompactionParts, 'holder' | 'settings'> {
  kafka: KafkaConnection;
  store: StoreConnection;
  logLevel: string;
  clean: CleanPredictions | undefined;
}

export interface Compacted {
  report: CompactionReport;
  clean: CleanPredictions;
}

export type FromCompaction = ({ type: 'storeCalled' } & StoreCall) | { type: 'retried' } | ({ type: 'done' } & Compacted) | ProcessFailure;
