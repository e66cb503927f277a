/**
 * Writes and reads the trace context in record headers: `traceparent` and `tracestate` by the W3C, for the record itself. A fact
 * about many utterances (a shard, predictions) has one more header with the context of each utterance, in the order of the fact.
 * The entry of an unsampled utterance is empty. The header is missing if no utterance is sampled.
 *
 * Headers are not facts: a reader that ignores them loses nothing, and unreadable headers are ignored.
 */
import { ROOT_CONTEXT, trace, type Context, type SpanContext } from '@opentelemetry/api';
import { parseTraceParent, W3CTraceContextPropagator } from '@opentelemetry/core';
import { isSampled } from '#service/spans.js';

/** Headers as the client gives them. */
export type RecordHeaders = Record<string, Buffer | string | (Buffer | string)[] | undefined>;

const utterancesHeader = 'undertone-traceparents';
const propagator = new W3CTraceContextPropagator();

function textOf(headers: RecordHeaders, name: string): string | undefined {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value)?.toString();
}

/** @returns undefined for a context without a span */
export function headersOf(context: Context): Record<string, string> | undefined {
  if (!trace.getSpanContext(context)) return undefined;
  const headers: Record<string, string> = {};
  propagator.inject(context, headers, { set: (carrier, name, value) => (carrier[name] = value) });
  return headers['traceparent'] ? headers : undefined;
}

/** @returns a context without a span if the header is missing or unreadable */
export function contextOf(headers: RecordHeaders | undefined): Context {
  if (!headers?.['traceparent']) return ROOT_CONTEXT;
  return propagator.extract(ROOT_CONTEXT, headers, { get: textOf, keys: Object.keys });
}

/** @returns the value of `traceparent`; undefined if the span is not sampled, because then there is nothing to continue */
export function traceparentOf(span: SpanContext): string | undefined {
  return isSampled(span) ? headersOf(trace.setSpanContext(ROOT_CONTEXT, span))?.['traceparent'] : undefined;
}

/** @returns undefined for a text that {@link traceparentOf} did not make */
export function spanOf(traceparent: string): SpanContext | undefined {
  const parsed = parseTraceParent(traceparent);
  return parsed ? { ...parsed, isRemote: true } : undefined;
}

/** @param spans spans of the utterances, in the order in which the fact names them */
export function utteranceHeaders(spans: readonly SpanContext[]): Record<string, string> | undefined {
  const traceparents = spans.map((span) => traceparentOf(span) ?? '');
  return traceparents.some(Boolean) ? { [utterancesHeader]: traceparents.join(',') } : undefined;
}

/** @returns one for each utterance that the fact names, or none at all */
export function utteranceTraceparents(headers: RecordHeaders | undefined): (string | undefined)[] {
  const text = headers && textOf(headers, utterancesHeader);
  return text ? text.split(',').map((each) => (parseTraceParent(each) ? each : undefined)) : [];
}
