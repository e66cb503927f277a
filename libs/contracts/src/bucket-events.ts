/** Raw bucket notifications, exactly as the store sent them. Parsed by ingest; never trusted. */
import { z } from 'zod';
import { retained, dayMs, type Topic } from './topic.js';

export const bucketEventSchema = z.unknown().meta({
  title: 'BucketEvent',
  description:
    'A notification of AWS S3 (plain, SQS, SNS, EventBridge), MinIO, Ceph RGW, versitygw or SeaweedFS, as JSON; SeaweedFS writes protobuf to Kafka',
});

export const bucketEvents: Topic<unknown, 'object-store' | 'ingest'> = {
  noun: 'bucket-events',
  version: 1,
  description: 'Raw notifications of the object store. An event is a hint: a listing heals those that never came.',
  producers: ['object-store', 'ingest'],
  consumers: ['ingest'],
  schema: bucketEventSchema,
  keySchema: z.string().nullable().describe('As the store sent it, if it did: the path, where SeaweedFS writes protobuf'),
  acceptsBytes: true,
  keyOf: () => null,
  storage: retained(4, 7 * dayMs),
};
