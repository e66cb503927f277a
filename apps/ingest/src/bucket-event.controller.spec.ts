import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { afterEach, expect, test } from 'vitest';
import { readHttpAccess } from '#service/http-access.js';
import { guardHttp, maxBodyBytes } from '#service/http-server.js';
import { BucketEventController } from './bucket-event.controller.js';
import { INGEST_CONFIG, IngestStage } from './ingest-stage.js';

/** The controller uses one method of the stage. The test records the events that would go to the topic. */
class Topic {
  readonly events: unknown[] = [];
  isAway = false;

  acceptEvent(event: unknown): Promise<void> {
    if (this.isAway) return new Promise(() => {});
    this.events.push(event);
    return Promise.resolve();
  }
}

let app: NestExpressApplication;
afterEach(() => app.close());

async function webhook(
  topic: Topic,
  bucketEventsPerSecond = 1000,
): Promise<(body: string | Buffer, headers?: object) => Promise<Response>> {
  @Module({
    controllers: [BucketEventController],
    providers: [
      { provide: IngestStage, useValue: topic },
      { provide: INGEST_CONFIG, useValue: { bucketEventsPerSecond } },
    ],
  })
  class WebhookModule {}
  app = await NestFactory.create<NestExpressApplication>(WebhookModule, { logger: false, bodyParser: false, forceCloseConnections: true });
  guardHttp(app, readHttpAccess('127.0.0.1', {}));
  await app.listen(0, '127.0.0.1');
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  return (body, headers = {}) =>
    fetch(`http://127.0.0.1:${port}/bucket-events`, {
      method: 'POST',
      body: typeof body === 'string' ? body : new Uint8Array(body),
      headers: { 'content-type': 'application/json', ...headers },
    });
}

const messageOf = async (answer: Response): Promise<unknown> => ((await answer.json()) as { message: unknown }).message;

test('takes a notification in JSON', async () => {
  const topic = new Topic();
  const post = await webhook(topic);
  expect((await post('{"Records":[],"__proto__":{"polluted":true}}')).status).toBe(202);
  expect(topic.events).toHaveLength(1);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});

test.each([
  ['more bytes than the limit', 413, `"${'x'.repeat(760_000)}"`, /at most 262144 bytes/],
  ['an empty body', 400, '', /is not JSON/],
  ['text that is not JSON', 400, '{"Records":', /is not JSON/],
  ['200,000 nested brackets', 400, '['.repeat(100_000) + ']'.repeat(100_000), /more than 64 deep/],
  ['bytes that are not text', 400, Buffer.from([0x22, 0xff, 0xfe, 0x22]), /not UTF-8/],
])('refuses %s, and publishes nothing', async (_what, status, body, why) => {
  const topic = new Topic();
  const post = await webhook(topic);
  const answer = await post(body);
  expect(answer.status).toBe(status);
  expect(await messageOf(answer)).toMatch(why);
  expect(topic.events).toEqual([]);
});

test('measures a compressed body by its unpacked size', async () => {
  const topic = new Topic();
  const post = await webhook(topic);
  const answer = await post(gzipSync(`"${'x'.repeat(maxBodyBytes)}"`), { 'content-encoding': 'gzip' });
  expect(answer.status).toBe(413);
  expect(topic.events).toEqual([]);
});

test('limits the rate, says when to retry, and counts a large notification as several', async () => {
  const topic = new Topic();
  const post = await webhook(topic, 2);
  const answers = await Promise.all(Array.from({ length: 30 }, () => post('{}')));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(10);
  expect(topic.events).toHaveLength(30 - refused.length);
  expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await messageOf(refused[0] as Response)).toMatch(/BUCKET_EVENTS_PER_SECOND/);
  expect((await post(`"${'x'.repeat(200_000)}"`)).status).toBe(429);
});

test('bounds the number of waiting notifications while the broker is away', async () => {
  const topic = new Topic();
  topic.isAway = true;
  const post = await webhook(topic, 100_000);
  const large = `"${'x'.repeat(250_000)}"`;
  const answers = Array.from({ length: 200 }, () => post(large).then(({ status }) => status));
  expect(await Promise.race(answers)).toBe(503);
  for (const answer of answers) answer.catch(() => {});
});
