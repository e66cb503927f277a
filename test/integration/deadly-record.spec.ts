/** Recordings that the store refuses, and one that kills features each time: each becomes one dead letter, and all others arrive. */
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { toneWav } from './made-corpus.js';
import { undertone } from './command-line.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
let proxy: Server;
/** Number of requests for the deadly recording. They get no answer while it is deadly. */
let asked = 0;
let isDeadly = true;

const archived = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidObjectState</Code><Message>It is archived</Message><RequestId>1</RequestId></Error>`;

beforeEach(async () => {
  asked = 0;
  isDeadly = true;
  const { hostname, port } = new URL(process.env['S3_ENDPOINT'] ?? '');
  proxy = createServer((incoming, answer) => {
    const isGet = incoming.method === 'GET';
    if (isGet && incoming.url?.includes('/deadly.wav') && isDeadly) {
      asked++;
      return;
    }
    if (isGet && incoming.url?.includes('/archived-')) {
      answer.writeHead(403, { 'content-type': 'application/xml' });
      answer.end(archived);
      return;
    }
    const { method, url, headers } = incoming;
    const passedOn = request({ hostname, port, method, path: url, headers }, (from) => {
      answer.writeHead(from.statusCode ?? 500, from.headers);
      from.pipe(answer);
    });
    passedOn.on('error', () => answer.destroy());
    incoming.pipe(passedOn);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  pipeline = new RunningPipeline({ S3_ENDPOINT: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, RECONCILE_INTERVAL: '3600' });
  await pipeline.prepare();
});
afterEach(async () => {
  await pipeline.close();
  proxy.closeAllConnections();
  proxy.close();
});

it('refuses the deadly recording after the third death until replay, and archived objects at once', async () => {
  const { store, overview } = pipeline;
  await store.put(corpusKey('made', 'deadly.wav'), toneWav());
  for (const n of [1, 2]) await store.put(corpusKey('made', `archived-${n}.wav`), toneWav({ pitchHz: 100 + n }));
  for (let n = 0; n < 12; n++) await store.put(corpusKey('made', `good-${n}.wav`), toneWav({ pitchHz: 200 + n }));
  pipeline.start('ingest', 'features');
  for (const death of [1, 2, 3]) {
    await pipeline.until(`the deadly one to be in hand, time ${death}`, () => asked === death);
    await pipeline.kill('features');
    pipeline.start('features');
  }
  await pipeline.until('all to be settled', () => {
    const { inShards, deadLettered } = overview.reconcile();
    return inShards === 12 && deadLettered === 3;
  });
  expect(asked).toBe(3);
  const letters = overview.unresolvedDeadLetters.map(({ code, utteranceId }) => `${code} ${utteranceId}`).sort();
  expect(letters).toEqual(['OBJECT_REFUSED made/archived-1.wav', 'OBJECT_REFUSED made/archived-2.wav', 'UNKNOWN_REPEATED made/deadly.wav']);
  expect(overview.unresolvedDeadLetters.find(({ code }) => code === 'OBJECT_REFUSED')?.message).toContain('InvalidObjectState');

  isDeadly = false;
  expect((await undertone(pipeline, 'replay', '--code', 'UNKNOWN_REPEATED')).code).toBe(0);
  await pipeline.until('its tiles', () => overview.reconcile().inShards === 13);
});
