/** Which trace a record is in, as publisher and consumer have it. The broker is played here. */
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
  it('has no header where nothing is traced', async () => {
    const publisher = freshPublisher();
    await inSpan('work', {}, () => publisher.publish(topic, 'a'));
    await publisher.publishApart(topic, ['b']);
    expect(sent.map(({ headers }) => headers)).toEqual([undefined, undefined]);
  });

  it('is in the trace of the work that published it, and in none outside of any', async () => {
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

  it('that is published apart has a trace of its own, linked with the work, or goes on in the one that is named', async () => {
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

  it('goes on in a named trace also where this process does not trace: what was begun elsewhere is passed on', async () => {
    const earlier = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    await freshPublisher().publishApart(topic, ['again'], () => contextOf(earlier));
    expect(headersOf('again')).toEqual(earlier);
  });

  it('that cannot be sent fails its span', async () => {
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

describe('a record that is processed', () => {
  it('goes on in the trace of its header, and log lines meanwhile name it', async () => {
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

  it('with a header that cannot be read, or none, begins a trace', async () => {
    traceWith();
    for (const headers of [{}, { traceparent: 'nonsense' }, { traceparent: Buffer.from([0xff]) }])
      await inProcessSpan(received(headers), 'group', () => Promise.resolve());
    const spans = exporter.getFinishedSpans();
    expect(spans.map(({ parentSpanContext }) => parentSpanContext)).toEqual([undefined, undefined, undefined]);
    expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(3);
  });

  it('that is not sampled stays so', async () => {
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
