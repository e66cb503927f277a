/** The trace of a record, in publisher and consumer. The test plays the broker. */
import { context, diag, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Kafka, Message, ProducerBatch } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { PipelineError } from '#contracts/pipeline-error.js';
import { hourMs, retained, type Topic } from '#contracts/topic.js';
import { activeSpan, inSpan, switchTracing, traceOfLog } from '#service/spans.js';
import { registerTracing } from '#service/tracing.js';
import { Publisher } from './publisher.js';
import { inProcessSpan } from './record-spans.js';
import { contextOf, type RecordHeaders } from './trace-headers.js';

const topic: Topic<string> = {
  noun: 'words',
  version: 1,
  description: 'Words of a test',
  producers: ['cli'],
  consumers: ['cli'],
  schema: z.string(),
  keySchema: z.string(),
  keyOf: (word) => word,
  storage: retained(1, hourMs),
};

let exporter: InMemorySpanExporter;
let sent: Message[];
let refuse: Error | undefined;

function freshPublisher(): Publisher {
  const producer = {
    sendBatch: ({ topicMessages = [] }: ProducerBatch) => {
      if (refuse) return Promise.reject(refuse);
      sent.push(...topicMessages.flatMap(({ messages }) => messages));
      return Promise.resolve();
    },
  };
  return new Publisher({ producer: () => producer } as unknown as Kafka, 'test');
}

function traceWith(): void {
  exporter = new InMemorySpanExporter();
  registerTracing(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }));
}

beforeEach(() => {
  sent = [];
  refuse = undefined;
});
afterEach(() => {
  switchTracing(false);
  for (const api of [trace, context, propagation, diag]) api.disable();
});

const headersOf = (word: string): RecordHeaders => sent.find(({ key }) => key === word)?.headers ?? {};
const traceIdOf = (word: string): string | undefined => trace.getSpanContext(contextOf(headersOf(word)))?.traceId;
const received = (headers: RecordHeaders, word = 'a') => ({
  key: word,
  origin: { topic: 'test.words.v1', partition: 3, offset: '41', value: Buffer.from(JSON.stringify(word)) },
  headers,
});

describe('a published record', () => {
  it('has no header while tracing is off', async () => {
    const publisher = freshPublisher();
    await inSpan('work', {}, () => publisher.publish(topic, 'a'));
    await publisher.publishApart(topic, ['b']);
    expect(sent.map(({ headers }) => headers)).toEqual([undefined, undefined]);
  });

  it('is in the trace of the work that published it, and in no trace without such work', async () => {
    traceWith();
    const publisher = freshPublisher();
    const traceId = await inSpan('work', {}, async (span) => {
      await publisher.publish(topic, 'a', 'b');
      return span.spanContext().traceId;
    });
    await publisher.publish(topic, 'outside');
    expect([traceIdOf('a'), traceIdOf('b'), traceIdOf('outside')]).toEqual([traceId, traceId, undefined]);
    const names = exporter.getFinishedSpans().map(({ name }) => name);
    expect(names).toEqual(['publish test.words.v1', 'publish test.words.v1', 'work']);
  });

  it('has a trace of its own linked with the work, or continues a named trace, if it is published apart', async () => {
    traceWith();
    const publisher = freshPublisher();
    const earlier = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    const workId = await inSpan('work', {}, async (span) => {
      await publisher.publishApart(topic, ['a', 'b', 'again'], (word) => (word === 'again' ? contextOf(earlier) : undefined));
      return span.spanContext().spanId;
    });
    expect(new Set(exporter.getFinishedSpans().map((span) => span.spanContext().traceId)).size).toBe(4);
    expect(traceIdOf('again')).toBe('0af7651916cd43dd8448eb211c80319c');
    const links = exporter.getFinishedSpans().map((span) => span.links.map((link) => link.context.spanId));
    expect(links).toEqual([[workId], [workId], [], []]);
  });

  it('continues a named trace even if this process does not trace', async () => {
    const earlier = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    await freshPublisher().publishApart(topic, ['again'], () => contextOf(earlier));
    expect(headersOf('again')).toEqual(earlier);
  });

  it('fails its span if it cannot be sent', async () => {
    traceWith();
    refuse = new PipelineError('STORAGE_UNAVAILABLE', 'away');
    const publisher = freshPublisher();
    await expect(inSpan('work', {}, () => publisher.publish(topic, 'a'))).rejects.toThrow('away');
    const [span] = exporter.getFinishedSpans();
    expect([span?.name, span?.status.message, span?.attributes['error.type']]).toEqual([
      'publish test.words.v1',
      'away',
      'STORAGE_UNAVAILABLE',
    ]);
  });
});

describe('a processed record', () => {
  it('continues the trace of its header, and log lines name that trace', async () => {
    traceWith();
    const publisher = freshPublisher();
    await inSpan('work', {}, () => publisher.publish(topic, 'a'));
    const logged = await inProcessSpan(received(headersOf('a')), 'group', () => Promise.resolve(traceOfLog()));
    const [published, , processed] = exporter.getFinishedSpans();
    expect(logged).toEqual({ traceId: traceIdOf('a'), spanId: processed?.spanContext().spanId });
    expect(processed?.parentSpanContext?.spanId).toBe(published?.spanContext().spanId);
    expect(processed?.attributes).toMatchObject({
      'messaging.system': 'kafka',
      'messaging.destination.name': 'test.words.v1',
      'messaging.destination.partition.id': '3',
      'messaging.consumer.group.name': 'group',
      'kafka.offset': 41,
    });
    expect(traceOfLog()).toEqual({});
  });

  it('begins a trace if its header is missing or unreadable', async () => {
    traceWith();
    for (const headers of [{}, { traceparent: 'nonsense' }, { traceparent: Buffer.from([0xff]) }])
      await inProcessSpan(received(headers), 'group', () => Promise.resolve());
    const spans = exporter.getFinishedSpans();
    expect(spans.map(({ parentSpanContext }) => parentSpanContext)).toEqual([undefined, undefined, undefined]);
    expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(3);
  });

  it('stays unsampled if its header says so', async () => {
    traceWith();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
    const publisher = freshPublisher();
    await inProcessSpan(received({ traceparent }), 'group', () => {
      expect(traceOfLog()).toEqual({});
      expect(activeSpan().isRecording()).toBe(false);
      return publisher.publish(topic, 'next');
    });
    expect(exporter.getFinishedSpans()).toEqual([]);
    expect(headersOf('next')['traceparent']).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/);
    expect(context.active()).toBe(ROOT_CONTEXT);
  });
});
