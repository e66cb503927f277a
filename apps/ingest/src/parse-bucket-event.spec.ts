/** Captured notifications of MinIO, versitygw and SeaweedFS (fixtures), and the documented forms of AWS and Ceph. */
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs/light.js';
import { describe, expect, it } from 'vitest';
import { parseBucketEvent } from './parse-bucket-event.js';

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
  it('MinIO, with encoded keys', () => {
    const events = lines('minio-kafka').flatMap(({ value, key }) => parseBucketEvent(JSON.parse(value), key));
    expect(events).toEqual(inBucket('mp/big', 'mp/big', strange, 'copy', 'copy'));
  });

  it('versitygw, with raw keys and a test event', () => {
    const events = lines('versitygw-kafka').flatMap(({ value, key }) => parseBucketEvent(JSON.parse(value), key));
    expect(events).toEqual(inBucket('mp/big', 'copy', strange, 'mp/big', 'copy'));
  });

  it("SeaweedFS's webhook, without folders, parts of uploads and its own files", () => {
    const events = lines('seaweedfs-webhook').flatMap(({ b }) => parseBucketEvent(JSON.parse(b)));
    expect(sorted(events)).toEqual(inBucket('copy', 'copy', strange, 'mp/big', 'mp/big'));
  });

  it("SeaweedFS's protobuf in Kafka gives the same", () => {
    const events = lines('seaweedfs-kafka-base64').flatMap(({ value, key }) => parseBucketEvent(Buffer.from(value, 'base64'), key));
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
    expect(parseBucketEvent(notification)).toEqual([{ bucket: 'speech', key }]);
  });

  it('deletions and renames name every key that they touch', () => {
    expect(parseBucketEvent({ Records: [record('a'), record('b', { eventName: 'ObjectRemoved:Delete' })] })).toHaveLength(2);
    const renamed = {
      event_type: 'rename',
      key: '/buckets/speech/corpora/calls/old.wav',
      message: { old_entry: { name: 'old.wav' }, new_entry: { name: 'new.wav' }, new_parent_path: '/buckets/speech/corpora/other' },
    };
    expect(parseBucketEvent(renamed).map(({ key: each }) => each)).toEqual(['corpora/calls/old.wav', 'corpora/other/new.wav']);
  });

  it('test events give nothing', () => {
    expect(parseBucketEvent({ Service: 'Amazon S3', Event: 's3:TestEvent', Bucket: 'speech' })).toEqual([]);
  });
});

describe('what is no notification', () => {
  it.each<[string, unknown, string | null]>([
    ['a number', 7, null],
    ['another object', { hello: 1 }, null],
    ['a record without a key', { Records: [record('')] }, null],
    ['text that is no JSON', 'hello', null],
    ['bytes without a path', Uint8Array.of(1, 2, 3), null],
    ['bytes that are no protobuf', Uint8Array.of(0xff, 0xff, 0xff), '/buckets/evb/x'],
  ])('%s is BUCKET_EVENT_UNRECOGNISED', (_name, notification, recordKey) => {
    expect(() => parseBucketEvent(notification, recordKey)).toThrow(expect.objectContaining({ code: 'BUCKET_EVENT_UNRECOGNISED' }));
  });

  it('fields of protobuf that are not known are skipped', () => {
    const { M: type } = protobuf.Root.fromJSON({ nested: { M: { fields: { later: { type: 'string', id: 99 } } } } }).nested as {
      M: protobuf.Type;
    };
    expect(parseBucketEvent(type.encode({ later: 'x' }).finish(), '/buckets/evb/x')).toEqual([]);
  });
});
