/**
 * Compacts once in a process of its own, then ends, which frees all its memory. In a long-lived process the allocator kept
 * fragments of shards, so that the process grew with every compaction.
 */
import { topics } from '#contracts/topics.js';
import { createLogger } from '#service/logger.js';
import { ObjectStore } from '#storage/object-store.js';
import { observeRetries } from '#streaming/retry.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower } from '#streaming/table-follower.js';
import { CompactionJob } from '#compaction/compaction-job.js';
import type { Compacted, CompactionSetup, FromCompaction } from './compaction-messages.js';
import { failureOf } from './process-failure.js';

const stopLimitMs = 5_000;
let job: CompactionJob | undefined;

async function compact({ kafka: connection, store: bucket, logLevel, ...parts }: CompactionSetup): Promise<Compacted> {
  const { topicPrefix } = connection;
  const logger = createLogger('trainer', logLevel);
  const kafka = kafkaClient(connection, 'undertone-compaction', logger);
  await ensureTopics(kafka, topics, topicPrefix);
  const store = new ObjectStore(bucket, { onCall: (call) => tell({ type: 'storeCalled', ...call }) });
  const publisher = new Publisher<'trainer'>(kafka, topicPrefix);
  await publisher.connect();
  const follower = new TableFollower(kafka, topicPrefix, 'compaction', logger);
  job = new CompactionJob({ store, publisher, follower, topicPrefix, ...parts });
  try {
    await job.start();
    return { report: await job.run(), clean: job.clean };
  } finally {
    await job.stop();
    await publisher.close();
    store.close();
  }
}

function tell(message: FromCompaction): void {
  if (process.connected) process.send?.(message);
}

function answer(message: FromCompaction): void {
  if (process.connected) process.send?.(message, () => process.exit(0));
  else process.exit(0);
}

observeRetries(() => tell({ type: 'retried' }));
process.once('message', (setup: CompactionSetup) => {
  compact(setup).then(
    (compacted) => answer({ type: 'done', ...compacted }),
    (error: unknown) => answer(failureOf(error)),
  );
});
// The trainer stops or has ended: the job ends before its next step and releases its lease.
process.once('disconnect', () => {
  if (!job) process.exit(0);
  void job.stop();
  setTimeout(() => process.exit(1), stopLimitMs).unref();
});
// Ctrl-C in a terminal reaches this process too. It ignores the signal and follows the trainer.
process.on('SIGINT', () => undefined);
