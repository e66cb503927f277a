/**
 * Makes the spans of records, by OpenTelemetry's conventions for messaging. `publish <topic>` lasts until the record is durable;
 * its context goes into the record's headers. `process <topic>` lasts while a consumer has the record; its parent comes from the
 * headers.
 *
 * A record that is published outside of any span is in no trace, unless it begins one.
 */
import { context, ROOT_CONTEXT, SpanKind, trace, type Attributes, type Context } from '@opentelemetry/api';
import type { DeadLetter } from '#contracts/dead-letters.js';
import { activeSpan, beginSpan, failSpan, inSpan, isTracing, linksTo, type Span } from '#service/spans.js';
import { contextOf, headersOf, type RecordHeaders } from './trace-headers.js';

interface RecordIdentity {
  topic: string;
  key: string | null;
  isTombstone: boolean;
}

export interface PublishSpan {
  headers: Record<string, string> | undefined;
  end: (error?: unknown) => void;
}

/** The trace of a record: the active one, one of its own that is linked with the active one, or a given one that it continues. */
export type TraceOfRecord = 'active' | 'own' | Context;

/** @returns undefined if the record is in no trace */
export function beginPublish(place: RecordIdentity, of: TraceOfRecord): PublishSpan | undefined {
  const parent = of === 'active' ? context.active() : of === 'own' ? ROOT_CONTEXT : of;
  if (!isTracing()) {
    // A process that does not trace passes on the trace of others.
    const headers = of === 'active' ? undefined : headersOf(parent);
    return headers && { headers, end: () => undefined };
  }
  if (of === 'active' && !trace.getSpanContext(parent)) return undefined;
  const links = of === 'own' ? linksTo([activeSpan().spanContext()]) : [];
  const attributes = attributesOf(place, { name: 'publish', type: 'send' });
  const span = beginSpan(`publish ${place.topic}`, { kind: SpanKind.PRODUCER, attributes, links }, parent);
  return {
    headers: headersOf(trace.setSpan(parent, span)),
    end: (error) => {
      if (error !== undefined) failSpan(span, error);
      span.end();
    },
  };
}

export interface ReceivedRecord {
  key: string | null;
  origin: { topic: string; partition: number; offset: string; value: Buffer | null };
  headers?: RecordHeaders | undefined;
}

/** Runs work on a record with its span active. Without a trace in the headers the record begins one. */
export async function inProcessSpan<Result>(
  { key, origin: { topic, partition, offset, value }, headers }: ReceivedRecord,
  groupId: string,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  const name = `process ${topic}`;
  if (!isTracing()) return inSpan(name, {}, work);
  const attributes = {
    ...attributesOf({ topic, key, isTombstone: value === null }, { name: 'process', type: 'process' }),
    'messaging.destination.partition.id': String(partition),
    'kafka.offset': Number(offset),
    'messaging.consumer.group.name': groupId,
  };
  return inSpan(name, { kind: SpanKind.CONSUMER, attributes, parent: contextOf(headers) }, work);
}

/** Attributes by which a person finds the trace of a recording. */
export const subjectAttributes = ({
  utteranceId,
  objectKey,
  version,
}: Pick<DeadLetter, 'utteranceId' | 'objectKey' | 'version'>): Attributes => ({
  'undertone.utterance.id': utteranceId,
  'undertone.utterance.version': version,
  'undertone.object.key': objectKey,
});

/** Gives the messaging system under its old attribute name too, because many backends know only that one. */
function attributesOf({ topic, key, isTombstone }: RecordIdentity, operation: { name: string; type: string }): Attributes {
  return {
    'messaging.system': 'kafka',
    'messaging.system.name': 'kafka',
    'messaging.destination.name': topic,
    'messaging.operation.name': operation.name,
    'messaging.operation.type': operation.type,
    ...(key !== null && { 'kafka.message.key': key }),
    ...(isTombstone && { 'kafka.message.tombstone': true }),
  };
}
