/**
 * One parser for the notifications of object stores: AWS S3 (plain, in SQS, in SNS, EventBridge), MinIO, Ceph RGW,
 * versitygw and SeaweedFS (webhook, and protobuf in Kafka). They differ in how the key is encoded: AWS and MinIO
 * form-encode it, Ceph, versitygw and EventBridge send it raw, SeaweedFS sends its own path.
 *
 * What it does not promise: that the object is there, or its size or ETag. An event is a hint; ingest asks the store.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { type ObjectEvent, seaweedfsProtobufObjects, seaweedfsWebhookObjects } from './parse-seaweedfs-event.js';

interface S3Record {
  eventSource?: string;
  EventSource?: string;
  eventName?: string;
  userIdentity?: Record<string, unknown>;
  body?: unknown;
  Sns?: { Message?: unknown };
  s3?: { bucket?: { name?: string }; object?: { key?: string } };
}

/**
 * @param recordKey the Kafka record's: the path, where SeaweedFS sends protobuf
 * @returns the objects that an event is about; none for test events, directories and the store's own files
 * @throws PipelineError BUCKET_EVENT_UNRECOGNISED
 */
export function parseBucketEvent(event: unknown, recordKey: string | null = null): ObjectEvent[] {
  if (event instanceof Uint8Array) return seaweedfsProtobufObjects(event, recordKey);
  if (typeof event === 'string') return parseBucketEvent(jsonOf(event));
  if (Array.isArray(event)) return event.flatMap((each) => parseBucketEvent(each));
  if (typeof event !== 'object' || event === null) throw unrecognised('not an object');
  const envelope = event as Record<string, unknown>;
  if (envelope['Event'] === 's3:TestEvent') return [];
  if (envelope['Type'] === 'Notification' && envelope['Message'] !== undefined) return parseBucketEvent(envelope['Message']); // SNS
  if (Array.isArray(envelope['Messages']))
    return envelope['Messages'].flatMap((message) => parseBucketEvent((message as { Body: unknown }).Body)); // SQS
  if (typeof envelope['Body'] === 'string') return parseBucketEvent(envelope['Body']); // one SQS message
  if (envelope['source'] === 'aws.s3') return [eventBridgeObject(envelope)];
  if (typeof envelope['event_type'] === 'string' && typeof envelope['key'] === 'string') return seaweedfsWebhookObjects(envelope);
  if (Array.isArray(envelope['Records'])) return (envelope['Records'] as S3Record[]).flatMap(parseRecord);
  throw unrecognised(`fields ${Object.keys(envelope).slice(0, 6).join(', ')}`);
}

function parseRecord(record: S3Record): ObjectEvent[] {
  if (record.eventSource === 'aws:sqs') return parseBucketEvent(record.body);
  if (record.EventSource === 'aws:sns') return parseBucketEvent(record.Sns?.Message);
  const bucket = record.s3?.bucket?.name;
  const key = record.s3?.object?.key;
  if (!bucket || !key) throw unrecognised('a record without bucket or key');
  return [{ bucket, key: isKeyEncoded(record) ? formDecoded(key) : key }];
}

/** versitygw says that it is AWS, but spells one field of its user identity in its own way, and sends keys raw. */
function isKeyEncoded(record: S3Record): boolean {
  const isVersitygw = record.userIdentity !== undefined && 'PrincipalId' in record.userIdentity;
  return record.eventSource === 'minio:s3' || (record.eventSource === 'aws:s3' && !isVersitygw);
}

function formDecoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key;
  }
}

function eventBridgeObject(envelope: Record<string, unknown>): ObjectEvent {
  const detail = envelope['detail'] as { bucket?: { name?: string }; object?: { key?: string } } | undefined;
  if (!detail?.bucket?.name || !detail.object?.key) throw unrecognised('an EventBridge event without bucket or key');
  return { bucket: detail.bucket.name, key: detail.object.key };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PipelineError('BUCKET_EVENT_UNRECOGNISED', 'The bucket event is not JSON', { cause: error });
  }
}

const unrecognised = (what: string): PipelineError =>
  new PipelineError('BUCKET_EVENT_UNRECOGNISED', `The bucket event is of no known form: ${what}`);
