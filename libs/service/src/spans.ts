/**
 * Makes spans. If tracing is off (no endpoint is set, see tracing.ts), work runs as usual and no span is recorded.
 *
 * It does not promise that a span arrives: a dying process loses its unsent spans, and an absent collector takes none.
 */
import {
  context,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Context,
  type Span,
  type SpanContext,
  type SpanOptions,
} from '@opentelemetry/api';
import { PipelineError } from '#contracts/pipeline-error.js';
import { epochMs } from './epoch.js';
import { codeVersion } from './package-root.js';

export type { Context, Span, SpanContext };

const noSpan = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);
let isOn = false;

/** Called by tracing.ts, and by tests that check spans. */
export function switchTracing(on: boolean): void {
  isOn = on;
}

export const isTracing = (): boolean => isOn;

/** Begins a span; the caller has to end it. @param parent default: the active context */
export function beginSpan(name: string, options: SpanOptions = {}, parent: Context = context.active()): Span {
  return isOn ? trace.getTracer('undertone', codeVersion).startSpan(name, options, parent) : noSpan;
}

/** Runs work in an active span, and ends the span with the outcome. @param parent default: the active context */
export async function inSpan<Result>(
  name: string,
  options: SpanOptions & { parent?: Context },
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  if (!isOn) return work(noSpan);
  const { parent = context.active(), ...spanOptions } = options;
  const span = beginSpan(name, spanOptions, parent);
  try {
    return await context.with(trace.setSpan(parent, span), work, undefined, span);
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end();
  }
}

export interface PastWork {
  /** Milliseconds since the epoch, like all times here. */
  startedAtMs: number;
  endedAtMs?: number;
  attributes?: Attributes;
  /** Links to work that was done for many records in a trace of its own. */
  of?: SpanContext;
  parent?: Context;
}

/** Records a span of finished work. */
export function pastSpan(name: string, { startedAtMs, endedAtMs = epochMs(), attributes, of, parent }: PastWork): SpanContext {
  const span = beginSpan(name, { startTime: startedAtMs, attributes, links: linksTo(of ? [of] : []) }, parent);
  span.end(endedAtMs);
  return span.spanContext();
}

/** Marks a span as failed, with the code of the error if it has one. */
export function failSpan(span: Span, error: unknown): void {
  if (!span.isRecording()) return;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  span.recordException({ name, message });
  span.setAttribute('error.type', error instanceof PipelineError ? error.code : name);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

/** @returns the active span, or one that records nothing */
export const activeSpan = (): Span => (isOn ? (trace.getActiveSpan() ?? noSpan) : noSpan);

/** Runs work outside of any trace, even if it is started within one. */
export const inNoSpan = <Result>(work: () => Result): Result => (isOn ? context.with(ROOT_CONTEXT, work) : work());

/** Runs work under a span that is ended elsewhere. */
export const underSpan = <Result>(span: Span, work: () => Result): Result =>
  isOn ? context.with(trace.setSpan(ROOT_CONTEXT, span), work) : work();

export const isSampled = (span: SpanContext): boolean => isSpanContextValid(span) && (span.traceFlags & TraceFlags.SAMPLED) !== 0;

/** The SDK drops more links than this, and few backends show as many. */
export const mostLinks = 128;

/** Links sampled spans only, because others lead nowhere. */
export const linksTo = (spans: readonly SpanContext[]): { context: SpanContext }[] =>
  spans
    .filter(isSampled)
    .slice(0, mostLinks)
    .map((spanContext) => ({ context: spanContext }));

/** @returns the trace fields of a log line; none if no collector gets the trace */
export function traceOfLog(): { traceId?: string; spanId?: string } {
  if (!isOn) return {};
  const active = trace.getSpanContext(context.active());
  return active && isSampled(active) ? { traceId: active.traceId, spanId: active.spanId } : {};
}
