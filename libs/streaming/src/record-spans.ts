/**
 * The spans of records, by OpenTelemetry's conventions for messaging: `publish <topic>` from when a record is handed over
 * until it is durable, its context in the record's headers; `process <topic>` while a consumer has it, its parent what the
 * headers say.
 *
 * A record that is published outside any span is in no trace, unless it begins one.
 */
import { context, ROOT_CONTEXT, SpanKind, trace, type Attributes, type Context } from '@opentelemetry/api';
import type { DeadLetter } from '#contracts/dead-letters.js';
import { activeSpan, beginSpan, failSpan, inSpan, isTracing, linksTo, type Span } from '#service/spans.js';
import { contextOf, headersOf, type RecordHeaders } from './trace-headers.js';

interface RecordPlace {
  topic: string;
  key: string | null;
  isTombstone: boolean;
}

export interface PublishSpan {
  headers: Record<string, string> | undefined;
  end: (error?: unknown) => void;
}

/** Which trace a record is in: the active one, one of its own that is linked with the active one, or the one that it goes on in. */
export type TraceOfRecord = 'active' | 'own' | Context;

/** @returns undefined if the record is in no trace */
export function beginPublish(place: RecordPlace, of: TraceOfRecord): PublishSpan | undefined {
  const parent = of === 'active' ? context.active() : of === 'own' ? ROOT_CONTEXT : of;
  if (!isTracing()) {
    // Who does not trace passes on what was traced before.
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

/** Runs work on a record with its span active. What the headers do not name a trace for begins one. */
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

/** By which a person finds the trace of a recording. */
export const subjectAttributes = ({
  utteranceId,
  objectKey,
  version,
}: Pick<DeadLetter, 'utteranceId' | 'objectKey' | 'version'>): Attributes => ({
  'undertone.utterance.id': utteranceId,
  'undertone.utterance.version': version,
  'undertone.object.key': objectKey,
});

/** The system goes by its old name too, which is what many backends know. */
function attributesOf({ topic, key, isTombstone }: RecordPlace, operation: { name: string; type: string }): Attributes {
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
