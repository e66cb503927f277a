/**
 * Parses the notifications of object stores: AWS S3 (plain, in SQS, in SNS, EventBridge), MinIO, Ceph RGW, versitygw and
 * SeaweedFS (webhook, and protobuf in Kafka). They encode the key in different ways: AWS and MinIO form-encode it, Ceph,
 * versitygw and EventBridge send it raw, SeaweedFS sends its own path.
 *
 * Anybody may post an event, so it may hold anything. A schema parses each part, with limits on nesting and count. A wrong part
 * becomes the event's problem, and the other parts still count.
 *
 * It does not promise that the object exists, or its size or ETag. An event is a hint; ingest asks the store.
 */
import { z } from 'zod';
import { parseOutsideJson, usualMaxDepth } from '#contracts/outside-json.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { type ObjectEvent, seaweedfsProtobufObjects, seaweedfsWebhookObjects, seaweedfsWebhookSchema } from './parse-seaweedfs-event.js';

export interface ParsedEvent {
  /** Objects that the event is about; none for test events, folders and the store's own files. */
  objects: ObjectEvent[];
  /** BUCKET_EVENT_UNRECOGNISED about the first part that could not be parsed. */
  problem: PipelineError | null;
}

/** Most objects of one event. AWS sends one record, SQS ten messages, and no store sends more than this. */
const maxObjects = 1_000;
/** Most levels of wrapping. SNS in SQS in a list has four. */
const maxWrappings = 8;
const maxEventBytes = 1_048_576;

const text = z.string().min(1);
const objectSchema = z.object({ bucket: z.object({ name: text }), object: z.object({ key: text }) });
const recordSchema = z.object({
  eventSource: z.string().optional().catch(undefined),
  userIdentity: z.looseObject({}).optional().catch(undefined),
  s3: objectSchema,
});
const sqsRecordSchema = z.object({ eventSource: z.literal('aws:sqs'), body: z.unknown() });
const snsRecordSchema = z.object({ EventSource: z.literal('aws:sns'), Sns: z.object({ Message: z.unknown() }) });

const testEventSchema = z.object({ Event: z.literal('s3:TestEvent') });
const snsSchema = z.object({ Type: z.literal('Notification'), Message: z.unknown().refine((message) => message !== undefined) });
const sqsSchema = z.object({ Messages: z.array(z.unknown()) });
const sqsMessageSchema = z.object({ Body: z.string() });
const eventBridgeSchema = z.object({ source: z.literal('aws.s3'), detail: z.unknown() });
const recordsSchema = z.object({ Records: z.array(z.unknown()) });

/** @param recordKey key of the Kafka record; with SeaweedFS's protobuf it is the path */
export function parseBucketEvent(event: unknown, recordKey: string | null = null): ParsedEvent {
  const reading = new EventReading();
  reading.read(event, recordKey, maxWrappings);
  return { objects: reading.objects, problem: reading.problem };
}

class EventReading {
  readonly objects: ObjectEvent[] = [];
  problem: PipelineError | null = null;

  /** Never throws a PipelineError: a wrong part becomes the problem. */
  read(event: unknown, recordKey: string | null, wrappings: number): void {
    try {
      if (wrappings === 0) throw unrecognised(`messages in messages, more than ${maxWrappings} deep`);
      this.readForm(event, recordKey, (inner) => this.read(inner, null, wrappings - 1));
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      this.problem ??= error;
    }
  }

  /** @param unwrap parses an event that is wrapped in this one */
  private readForm(event: unknown, recordKey: string | null, unwrap: (inner: unknown) => void): void {
    if (event instanceof Uint8Array) return this.add(...seaweedfsProtobufObjects(event, recordKey));
    if (typeof event === 'string') return unwrap(jsonOf(event));
    if (Array.isArray(event)) return this.readEach(event, unwrap);
    if (typeof event !== 'object' || event === null) throw unrecognised('not an object');
    if (testEventSchema.safeParse(event).success) return;
    const sns = snsSchema.safeParse(event).data;
    if (sns) return unwrap(sns.Message);
    const sqs = sqsSchema.safeParse(event).data;
    if (sqs) return this.readEach(sqs.Messages, (message) => unwrap(sqsMessageSchema.safeParse(message).data?.Body));
    const sqsMessage = sqsMessageSchema.safeParse(event).data;
    if (sqsMessage) return unwrap(sqsMessage.Body);
    const eventBridge = eventBridgeSchema.safeParse(event).data;
    if (eventBridge) return this.add(objectOf(eventBridge.detail));
    const seaweedfs = seaweedfsWebhookSchema.safeParse(event).data;
    if (seaweedfs) return this.add(...seaweedfsWebhookObjects(seaweedfs));
    const records = recordsSchema.safeParse(event).data;
    if (records) return this.readEach(records.Records, (record) => this.readRecord(record, unwrap));
    throw unrecognised(`fields ${Object.keys(event).slice(0, 6).join(', ').slice(0, 200)}`);
  }

  private readEach(parts: readonly unknown[], read: (part: unknown) => void): void {
    if (parts.length > maxObjects) this.problem ??= tooMany('records');
    for (const part of parts.slice(0, maxObjects)) read(part);
  }

  private readRecord(record: unknown, unwrap: (inner: unknown) => void): void {
    const sqs = sqsRecordSchema.safeParse(record).data;
    if (sqs) return unwrap(sqs.body);
    const sns = snsRecordSchema.safeParse(record).data;
    if (sns) return unwrap(sns.Sns.Message);
    const plain = recordSchema.safeParse(record).data;
    if (!plain) {
      this.problem ??= unrecognised('a record without bucket or key');
      return;
    }
    const { bucket, object } = plain.s3;
    this.add({ bucket: bucket.name, key: isKeyEncoded(plain) ? formDecoded(object.key) : object.key });
  }

  private add(...objects: ObjectEvent[]): void {
    if (this.objects.length + objects.length > maxObjects) throw tooMany('objects');
    this.objects.push(...objects);
  }
}

/** True if keys are form-encoded. versitygw claims to be AWS but sends raw keys; the spelling of its user identity gives it away. */
function isKeyEncoded({ eventSource, userIdentity }: z.infer<typeof recordSchema>): boolean {
  const isVersitygw = userIdentity !== undefined && 'PrincipalId' in userIdentity;
  return eventSource === 'minio:s3' || (eventSource === 'aws:s3' && !isVersitygw);
}

function formDecoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key;
  }
}

function objectOf(detail: unknown): ObjectEvent {
  const parsed = objectSchema.safeParse(detail).data;
  if (!parsed) throw unrecognised('an EventBridge event without bucket or key');
  return { bucket: parsed.bucket.name, key: parsed.object.key };
}

const jsonOf = (json: string): unknown =>
  parseOutsideJson(json, { maxBytes: maxEventBytes, maxDepth: usualMaxDepth, code: 'BUCKET_EVENT_UNRECOGNISED', noun: 'The bucket event' });

const tooMany = (things: string): PipelineError => unrecognised(`more than ${maxObjects} ${things}. The next listing finds the others`);
const unrecognised = (what: string): PipelineError =>
  new PipelineError('BUCKET_EVENT_UNRECOGNISED', `The bucket event has no known form: ${what}`);
