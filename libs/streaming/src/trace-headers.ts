/**
 * Trace context in the headers of records: `traceparent` and `tracestate` as the W3C has them, one for the record. What is
 * told of many utterances at once (a shard, predictions) has a header more, with the context of each in the order in which
 * the fact names them; it is empty for those that are not sampled, and missing where all are.
 *
 * Headers are not facts: whoever does not know them loses nothing, and what cannot be read is passed over.
 */
import { ROOT_CONTEXT, trace, type Context, type SpanContext } from '@opentelemetry/api';
import { parseTraceParent, W3CTraceContextPropagator } from '@opentelemetry/core';
import { isSampled } from '#service/spans.js';

/** As the client has them. */
export type RecordHeaders = Record<string, Buffer | string | (Buffer | string)[] | undefined>;

const utterancesHeader = 'undertone-traceparents';
const propagator = new W3CTraceContextPropagator();

function textOf(headers: RecordHeaders, name: string): string | undefined {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value)?.toString();
}

/** @returns undefined for a context without a span */
export function headersOf(of: Context): Record<string, string> | undefined {
  if (!trace.getSpanContext(of)) return undefined;
  const headers: Record<string, string> = {};
  propagator.inject(of, headers, { set: (carrier, name, value) => (carrier[name] = value) });
  return headers['traceparent'] ? headers : undefined;
}

/** @returns a context without a span where there is no header, or none that can be understood */
export function contextOf(headers: RecordHeaders | undefined): Context {
  if (!headers?.['traceparent']) return ROOT_CONTEXT;
  return propagator.extract(ROOT_CONTEXT, headers, { get: textOf, keys: Object.keys });
}

/** As `traceparent` has it. @returns undefined where it is not sampled: then there is nothing to go on with */
export function traceparentOf(span: SpanContext): string | undefined {
  return isSampled(span) ? headersOf(trace.setSpanContext(ROOT_CONTEXT, span))?.['traceparent'] : undefined;
}

/** @returns undefined for what {@link traceparentOf} did not make */
export function spanOf(traceparent: string): SpanContext | undefined {
  const parsed = parseTraceParent(traceparent);
  return parsed ? { ...parsed, isRemote: true } : undefined;
}

/** @param spans of the utterances, in the order in which the fact names them */
export function utteranceHeaders(spans: readonly SpanContext[]): Record<string, string> | undefined {
  const traceparents = spans.map((span) => traceparentOf(span) ?? '');
  return traceparents.some(Boolean) ? { [utterancesHeader]: traceparents.join(',') } : undefined;
}

/** @returns one for each utterance that the fact names, or none at all */
export function utteranceTraceparents(headers: RecordHeaders | undefined): (string | undefined)[] {
  const text = headers && textOf(headers, utterancesHeader);
  return text ? text.split(',').map((each) => (parseTraceParent(each) ? each : undefined)) : [];
}
