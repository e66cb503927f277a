/**
 * Names the local folder in which a stage notes the records in hand, so that its next process can count a death. The folder is the
 * same for all processes of the stage on this machine, and differs for each bucket and topic prefix. A restarted container keeps
 * its temporary folder.
 */
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KafkaConnection, StoreConnection } from './connection-config.js';

export function inHandFolder({ kafka, store }: { kafka: KafkaConnection; store: StoreConnection }, stage: string): string {
  const pipeline = createHash('sha256')
    .update(JSON.stringify([store.endpoint, store.bucket, kafka.topicPrefix]))
    .digest('hex');
  return join(tmpdir(), `undertone-in-hand-${process.getuid?.() ?? 'user'}`, `${pipeline.slice(0, 16)}.${stage}`);
}
