import { ROOT_CONTEXT, trace, TraceFlags, type SpanContext } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { contextOf, headersOf, spanOf, traceparentOf, utteranceHeaders, utteranceTraceparents } from './trace-headers.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const span = (traceFlags = TraceFlags.SAMPLED): SpanContext => ({ traceId, spanId, traceFlags });
const sampled = `00-${traceId}-${spanId}-01`;

describe('the context of a record', () => {
  it('survives the way through headers, as text or as bytes, sampled or not', () => {
    for (const flags of [TraceFlags.SAMPLED, TraceFlags.NONE]) {
      const headers = headersOf(trace.setSpanContext(ROOT_CONTEXT, span(flags))) ?? {};
      expect(headers).toEqual({ traceparent: `00-${traceId}-${spanId}-0${flags}` });
      const asBytes = { traceparent: Buffer.from(headers['traceparent'] ?? '') };
      for (const each of [headers, asBytes]) expect(trace.getSpanContext(contextOf(each))).toEqual({ ...span(flags), isRemote: true });
    }
  });

  it('keeps the vendor’s tracestate', () => {
    const headers = { traceparent: sampled, tracestate: Buffer.from('vendor=x') };
    expect(headersOf(contextOf(headers))).toEqual({ traceparent: sampled, tracestate: 'vendor=x' });
  });

  it('is empty if the header is missing, malformed, too long, all zeros, or not text', () => {
    const malformed = [
      undefined,
      '',
      'nonsense',
      `00-${traceId}-${spanId}`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      `00-${traceId}-${spanId}-01-more`,
      `ff-${traceId}-${spanId}-01`,
      `00-${'0'.repeat(32)}-${spanId}-01`,
      `00-${traceId}-${'0'.repeat(16)}-01`,
      Buffer.from([0xff, 0xfe, 0x00]),
    ];
    for (const traceparent of malformed) {
      expect(trace.getSpanContext(contextOf({ traceparent })), String(traceparent)).toBeUndefined();
      if (typeof traceparent === 'string') expect(spanOf(traceparent)).toBeUndefined();
    }
    expect(contextOf(undefined)).toBe(ROOT_CONTEXT);
    expect(headersOf(ROOT_CONTEXT)).toBeUndefined();
  });

  it('comes from the first of several headers of the same name', () => {
    expect(trace.getSpanContext(contextOf({ traceparent: [Buffer.from(sampled), 'nonsense'] }))?.spanId).toBe(spanId);
  });
});

describe('the contexts of many utterances', () => {
  it('come back in order, with a gap for each unsampled one', () => {
    const headers = utteranceHeaders([span(TraceFlags.NONE), span(), span(TraceFlags.NONE)]);
    expect(utteranceTraceparents(headers)).toEqual([undefined, sampled, undefined]);
  });

  it('need no header if none is sampled', () => {
    expect(utteranceHeaders([span(TraceFlags.NONE), span(TraceFlags.NONE)])).toBeUndefined();
    expect(utteranceHeaders([])).toBeUndefined();
    expect(utteranceTraceparents(undefined)).toEqual([]);
    expect(traceparentOf(span(TraceFlags.NONE))).toBeUndefined();
  });

  it('become gaps if they cannot be read', () => {
    const headers = utteranceHeaders([span(), span()]) ?? {};
    const [[name, value] = ['', '']] = Object.entries(headers);
    expect(utteranceTraceparents({ [name]: Buffer.from(`nonsense,${value}`) })).toEqual([undefined, sampled, sampled]);
  });
});
