/** Raw bucket notifications, exactly as the store sent them. Ingest parses them and never trusts them. */
import { z } from 'zod';
import { retained, dayMs, type Topic } from './topic.js';

export const bucketEventSchema = z.unknown().meta({
  title: 'BucketEvent',
  description:
    'A notification of AWS S3 (plain, SQS, SNS, EventBridge), MinIO, Ceph RGW, versitygw or SeaweedFS, as JSON. SeaweedFS writes protobuf when it writes to Kafka itself.',
});

export const bucketEvents: Topic<unknown, 'object-store' | 'ingest'> = {
  noun: 'bucket-events',
  version: 1,
  description: 'Raw notifications of the object store. An event is only a hint. If an event never arrives, a listing finds the change.',
  producers: ['object-store', 'ingest'],
  consumers: ['ingest'],
  schema: bucketEventSchema,
  keySchema: z.string().nullable().describe('The key that the store sent, or null. SeaweedFS, which writes protobuf, sends the path.'),
  acceptsBytes: true,
  keyOf: () => null,
  storage: retained(4, 7 * dayMs),
};
