/** Captured notifications of MinIO, versitygw and SeaweedFS (fixtures), and the documented forms of AWS and Ceph. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import protobuf from 'protobufjs/light.js';
import { describe, expect, it } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { parseBucketEvent } from './parse-bucket-event.js';

const objectsOf = (...event: Parameters<typeof parseBucketEvent>) => parseBucketEvent(...event).objects;

const lines = (name: string) =>
  readFileSync(new URL(`../fixtures/${name}.jsonl`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { key: string; value: string; b: string });
const strange = 'in/a b+c ü/batch=1/f#1%2F.json';
const inBucket = (...keys: string[]) => keys.map((key) => ({ bucket: 'evb', key }));
const sorted = (events: { key: string }[]) => events.toSorted((a, b) => (a.key < b.key ? -1 : 1));

const record = (key: string, more: object = {}) => ({
  eventSource: 'aws:s3',
  eventName: 'ObjectCreated:Put',
  s3: { bucket: { name: 'speech' }, object: { key } },
  ...more,
});

describe('captured notifications', () => {
  it('reads MinIO, with encoded keys', () => {
    const events = lines('minio-kafka').flatMap(({ value, key }) => objectsOf(JSON.parse(value), key));
    expect(events).toEqual(inBucket('mp/big', 'mp/big', strange, 'copy', 'copy'));
  });

  it('reads versitygw, with raw keys and a test event', () => {
    const events = lines('versitygw-kafka').flatMap(({ value, key }) => objectsOf(JSON.parse(value), key));
    expect(events).toEqual(inBucket('mp/big', 'copy', strange, 'mp/big', 'copy'));
  });

  it("reads SeaweedFS's webhook, without folders, parts of uploads and its own files", () => {
    const events = lines('seaweedfs-webhook').flatMap(({ b }) => objectsOf(JSON.parse(b)));
    expect(sorted(events)).toEqual(inBucket('copy', 'copy', strange, 'mp/big', 'mp/big'));
  });

  it("reads SeaweedFS's protobuf in Kafka with the same result", () => {
    const events = lines('seaweedfs-kafka-base64').flatMap(({ value, key }) => objectsOf(Buffer.from(value, 'base64'), key));
    expect(new Set(events.map(({ key }) => key))).toEqual(new Set(['copy', strange, 'mp/big']));
    expect(events.every(({ bucket }) => bucket === 'evb')).toBe(true);
  });
});

describe('documented notifications', () => {
  const encoded = 'corpora/calls/a+b%2Bc+%C3%BC.wav';
  const key = 'corpora/calls/a b+c ü.wav';
  const event = { Records: [record(encoded)] };

  it.each<[string, unknown]>([
    ['AWS', event],
    ['AWS as text', JSON.stringify(event)],
    ['SQS as polled', { Messages: [{ Body: JSON.stringify(event) }] }],
    ['one message of SQS', { MessageId: '1', ReceiptHandle: 'x', Body: JSON.stringify(event) }],
    ['SQS as delivered', { Records: [{ eventSource: 'aws:sqs', body: JSON.stringify(event) }] }],
    ['SNS', { Type: 'Notification', TopicArn: 'arn', Message: JSON.stringify(event) }],
    ['SNS as delivered', { Records: [{ EventSource: 'aws:sns', Sns: { Message: JSON.stringify(event) } }] }],
    [
      'SNS in SQS',
      { Records: [{ eventSource: 'aws:sqs', body: JSON.stringify({ Type: 'Notification', Message: JSON.stringify(event) }) }] },
    ],
    ['EventBridge, raw', { source: 'aws.s3', 'detail-type': 'Object Created', detail: { bucket: { name: 'speech' }, object: { key } } }],
    ['Ceph RGW, raw', { Records: [record(key, { eventSource: 'ceph:s3' })] }],
    ['several in a list', [event]],
  ])('%s', (_form, notification) => {
    expect(objectsOf(notification)).toEqual([{ bucket: 'speech', key }]);
  });

  it('names every key of a deletion or rename', () => {
    expect(objectsOf({ Records: [record('a'), record('b', { eventName: 'ObjectRemoved:Delete' })] })).toHaveLength(2);
    const renamed = {
      event_type: 'rename',
      key: '/buckets/speech/corpora/calls/old.wav',
      message: { old_entry: { name: 'old.wav' }, new_entry: { name: 'new.wav' }, new_parent_path: '/buckets/speech/corpora/other' },
    };
    expect(objectsOf(renamed).map(({ key: each }) => each)).toEqual(['corpora/calls/old.wav', 'corpora/other/new.wav']);
  });

  it('finds nothing in test events', () => {
    expect(objectsOf({ Service: 'Amazon S3', Event: 's3:TestEvent', Bucket: 'speech' })).toEqual([]);
  });
});

describe('an unusable notification', () => {
  it.each<[string, unknown, string | null]>([
    ['a number', 7, null],
    ['another object', { hello: 1 }, null],
    ['a record without a key', { Records: [record('')] }, null],
    ['text that is no JSON', 'hello', null],
    ['nothing', undefined, null],
    ['null', null, null],
    ['an empty text', '', null],
    ['a record that is null', { Records: [null] }, null],
    ['a message of SQS that is null', { Messages: [null] }, null],
    ['a message of SQS that is a number', { Messages: [{ Body: 7 }] }, null],
    ['a message of SNS that is null', { Type: 'Notification', Message: null }, null],
    ['SNS as delivered, without a message', { Records: [{ EventSource: 'aws:sns' }] }, null],
    ['a key that is a number', { Records: [{ eventSource: 'aws:s3', s3: { bucket: { name: 'speech' }, object: { key: 123 } } }] }, null],
    ['a bucket that is a list', { Records: [{ s3: { bucket: [], object: { key: 'a' } } }] }, null],
    ['EventBridge with numbers', { source: 'aws.s3', detail: { bucket: { name: 7 }, object: { key: {} } } }, null],
    ['a webhook of SeaweedFS with a message that is a number', { event_type: 'create', key: '/buckets/evb/x', message: 7 }, null],
    ['200,000 nested brackets as text', '['.repeat(200_000) + ']'.repeat(200_000), null],
    ['lists in lists', [[[[[[[[[[]]]]]]]]]], null],
    ['protobuf whose groups never end', new Uint8Array(100_000).fill(0x0b), '/buckets/evb/x'],
    ['protobuf with a length beyond its end', Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f), '/buckets/evb/x'],
    ['bytes without a path', Uint8Array.of(1, 2, 3), null],
    ['bytes that are no protobuf', Uint8Array.of(0xff, 0xff, 0xff), '/buckets/evb/x'],
  ])('%s is BUCKET_EVENT_UNRECOGNISED', (_name, notification, recordKey) => {
    const { objects, problem } = parseBucketEvent(notification, recordKey);
    expect(objects).toEqual([]);
    expect(problem).toBeInstanceOf(PipelineError);
    expect(problem).toMatchObject({ code: 'BUCKET_EVENT_UNRECOGNISED' });
  });

  it('does not lose the other parts of the same event', () => {
    const { objects, problem } = parseBucketEvent({ Records: [record('a'), null, { eventSource: 'aws:sqs', body: 7 }, record('b')] });
    expect(objects.map(({ key }) => key)).toEqual(['a', 'b']);
    expect(problem).toMatchObject({ code: 'BUCKET_EVENT_UNRECOGNISED' });
  });

  it('reports more than a thousand records as a problem, and reads the first thousand', () => {
    const { objects, problem } = parseBucketEvent({ Records: Array.from({ length: 1_001 }, (_, i) => record(`${i}`)) });
    expect(objects).toHaveLength(1_000);
    expect(problem?.message).toContain('1000');
  });

  it('skips unknown fields of protobuf', () => {
    const { M: type } = protobuf.Root.fromJSON({ nested: { M: { fields: { later: { type: 'string', id: 99 } } } } }).nested as {
      M: protobuf.Type;
    };
    expect(objectsOf(type.encode({ later: 'x' }).finish(), '/buckets/evb/x')).toEqual([]);
  });
});

describe('any event', () => {
  /** Fields that the parsers read, so that generated values reach their code. */
  const field = fc.constantFrom(
    ...['Records', 'Messages', 'Body', 'Type', 'Message', 'source', 'detail', 'event_type', 'key', 'message', 'new_entry', 'old_entry'],
    ...[
      'name',
      'new_parent_path',
      's3',
      'bucket',
      'object',
      'eventSource',
      'EventSource',
      'Sns',
      'body',
      'userIdentity',
      'Event',
      '__proto__',
    ],
  );
  const word = fc.oneof(
    fc.constantFrom('Notification', 'aws.s3', 'aws:sqs', 'aws:sns', 'aws:s3', 's3:TestEvent', '/buckets/b/k', '%', '\ud800', 'constructor'),
    fc.string(),
  );
  const { event } = fc.letrec<{ event: unknown }>((tie) => ({
    event: fc.oneof(
      { depthSize: 'small' },
      word,
      fc.constantFrom(null, true, 0, -1, Number.NaN),
      fc.array(tie('event'), { maxLength: 4 }),
      fc.dictionary(field, tie('event'), { maxKeys: 5 }),
      tie('event').map((inner) => JSON.stringify(inner) ?? ''),
    ),
  }));
  const isSound = ({ objects, problem }: ReturnType<typeof parseBucketEvent>): boolean =>
    objects.every(({ bucket, key }) => typeof bucket === 'string' && typeof key === 'string' && key !== '') &&
    (problem === null || problem instanceof PipelineError);

  it('in JSON gives objects or a problem, and no other error', () => {
    const values = fc.oneof(event, fc.jsonValue());
    fc.assert(
      fc.property(values, fc.option(word), (value, key) => isSound(parseBucketEvent(value, key))),
      { seed: 15, numRuns: 3_000 },
    );
  });

  it('in bytes gives objects or a problem, and no other error', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.constantFrom(0x0a, 0x12, 0x22, 0x0b, 0x0c, 0, 1, 2, 255)).map((each) => Uint8Array.from(each)),
    );
    fc.assert(
      fc.property(bytes, fc.option(word), (value, key) => isSound(parseBucketEvent(value, key))),
      { seed: 15, numRuns: 3_000 },
    );
  });
});
