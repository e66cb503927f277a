/**
 * Spans, for those who make some. Where nothing is traced (no endpoint is set, tracing.ts) all of this does nothing: work
 * runs as it would without it, and no span is recorded.
 *
 * Does not promise that a span arrives: what a process that dies had not sent is lost, and so is what an absent collector
 * does not take.
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

/** Called by tracing.ts, and by tests that look at spans. */
export function switchTracing(on: boolean): void {
  isOn = on;
}

export const isTracing = (): boolean => isOn;

/** Not ended by anybody else. @param parent the active context where it is not given */
export function beginSpan(name: string, options: SpanOptions = {}, parent: Context = context.active()): Span {
  return isOn ? trace.getTracer('undertone', codeVersion).startSpan(name, options, parent) : noSpan;
}

/** Runs work with a span that is active meanwhile and says how it ended. @param parent the active context where it is not given */
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
  /** By the epoch, as all times here. */
  startedAtMs: number;
  endedAtMs?: number;
  attributes?: Attributes;
  /** Of what did it for many, in a trace of its own. */
  of?: SpanContext;
  parent?: Context;
}

/** A span of what is done already. */
export function pastSpan(name: string, { startedAtMs, endedAtMs = epochMs(), attributes, of, parent }: PastWork): SpanContext {
  const span = beginSpan(name, { startTime: startedAtMs, attributes, links: linksTo(of ? [of] : []) }, parent);
  span.end(endedAtMs);
  return span.spanContext();
}

/** Marks a span as failed, by the code of the error where it has one. */
export function failSpan(span: Span, error: unknown): void {
  if (!span.isRecording()) return;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  span.recordException({ name, message });
  span.setAttribute('error.type', error instanceof PipelineError ? error.code : name);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

/** Of the active span, or one that records nothing. */
export const activeSpan = (): Span => (isOn ? (trace.getActiveSpan() ?? noSpan) : noSpan);

/** Work that belongs to nobody's trace, though it is begun by somebody's. */
export const inNoSpan = <Result>(work: () => Result): Result => (isOn ? context.with(ROOT_CONTEXT, work) : work());

/** Work under a span that is ended elsewhere. */
export const underSpan = <Result>(span: Span, work: () => Result): Result =>
  isOn ? context.with(trace.setSpan(ROOT_CONTEXT, span), work) : work();

export const isSampled = (span: SpanContext): boolean => isSpanContextValid(span) && (span.traceFlags & TraceFlags.SAMPLED) !== 0;

/** More are dropped by the SDK, and few backends show as many. */
export const mostLinks = 128;

/** Of those that are sampled: others lead nowhere. */
export const linksTo = (spans: readonly SpanContext[]): { context: SpanContext }[] =>
  spans
    .filter(isSampled)
    .slice(0, mostLinks)
    .map((spanContext) => ({ context: spanContext }));

/** What a log line says of the trace that it belongs to; nothing where no collector has it. */
export function traceOfLog(): { traceId?: string; spanId?: string } {
  if (!isOn) return {};
  const active = trace.getSpanContext(context.active());
  return active && isSampled(active) ? { traceId: active.traceId, spanId: active.spanId } : {};
}
