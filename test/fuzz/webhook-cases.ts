/** Cases that come over HTTP: the webhook of ingest, and noise at every service. Nobody may be held up by them, and no answer may be a 500. */
import { request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { hostileWords, noise } from './damage.js';
import { serviceNames } from './fuzz-world.js';
import type { FuzzCase } from './object-cases.js';

interface Post {
  kind: string;
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: Buffer | string;
  /** 429: the rate is used up, which is as good. */
  statuses: readonly number[];
  isEvent?: true;
}

const json = { 'content-type': 'application/json' };

export const hostilePost: FuzzCase = async ({ pipeline, account }, random, number) => {
  const mark = `fuzz-post-${number}-${pipeline.prefix}`;
  const post = random.pick<Post>([
    { kind: 'plain text', headers: { 'content-type': 'text/plain' }, body: '{}', statuses: [415] },
    { kind: 'no content type', body: '{}', statuses: [415] },
    { kind: 'form', headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x--', statuses: [415] },
    { kind: 'foreign origin', headers: { ...json, origin: 'https://evil.example' }, body: '{}', statuses: [403] },
    { kind: 'foreign host', headers: { ...json, host: 'evil.example' }, body: '{}', statuses: [421] },
    {
      kind: 'wrong token',
      headers: { ...json, authorization: 'Bearer wrong' },
      body: `{"a":"${mark}"}`,
      statuses: [202, 401],
      isEvent: true,
    },
    { kind: 'deep', headers: json, body: `${'['.repeat(100_000)}${']'.repeat(100_000)}`, statuses: [400] },
    { kind: 'huge', headers: json, body: Buffer.alloc(2_000_000, '1'), statuses: [413] },
    { kind: 'bomb', headers: { ...json, 'content-encoding': 'gzip' }, body: gzipSync(Buffer.alloc(20_000_000)), statuses: [413] },
    { kind: 'unknown coding', headers: { ...json, 'content-encoding': 'br, x' }, body: noise(random, 100), statuses: [400, 415] },
    { kind: 'no JSON', headers: json, body: noise(random, 200), statuses: [400] },
    { kind: 'half a text', headers: json, body: '{"Records":[', statuses: [400] },
    { kind: 'nothing', headers: json, body: '', statuses: [400, 202] },
    { kind: 'foreign event', headers: json, body: JSON.stringify({ hello: mark }), statuses: [202], isEvent: true },
    { kind: 'hostile event', headers: json, body: JSON.stringify({ Records: [mark, null] }), statuses: [202], isEvent: true },
    {
      kind: 'other method',
      method: random.pick(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE']),
      headers: json,
      statuses: [204, 400, 401, 403, 404, 405],
    },
    {
      kind: 'other path',
      path: `/${encodeURIComponent(random.pick(hostileWords).toWellFormed())}`.slice(0, 4_000),
      headers: json,
      body: '{}',
      statuses: [400, 404, 431],
    },
    { kind: 'odd path', path: '/..%2f..%2fetc/passwd', method: 'GET', statuses: [400, 404] },
    { kind: 'huge header', headers: { ...json, 'x-huge': 'x'.repeat(40_000) }, body: '{}', statuses: [431] },
  ]);
  const status = await statusOf(`${pipeline.url('ingest')}${post.path ?? '/bucket-events'}`, post);
  if (status === 202 && post.isEvent) account.expectLetter(`webhook: ${post.kind}`, { words: mark }, 'ingest');
  // A server that has seen enough may close while the body is still on its way.
  const allowed: readonly (number | null)[] = [...post.statuses, 429, null];
  if (!allowed.includes(status)) account.note(`webhook: ${post.kind} was answered ${status}, not ${post.statuses.join(' or ')}`);
  return `webhook: ${post.kind}`;
};

/** Bytes that are no HTTP, and requests that never end. */
export const noiseOverHttp: FuzzCase = async ({ pipeline }, random) => {
  const service = random.pick(serviceNames);
  const bytes = random.pick([
    noise(random, 500),
    Buffer.from('POST /bucket-events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{'),
    Buffer.from('GET /api/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'),
    Buffer.from('GET / HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\nffffffffff\r\n'),
  ]);
  const { hostname, port } = new URL(pipeline.url(service));
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  socket.write(bytes);
  setTimeout(() => socket.destroy(), 1_500).unref();
  await new Promise<void>((resolve) => socket.once('connect', resolve).once('close', () => resolve()));
  return `http: noise at ${service}`;
};

/** @returns null where the connection broke before an answer */
function statusOf(url: string, { method = 'POST', headers = {}, body }: Post): Promise<number | null> {
  return new Promise((resolve) => {
    const asked = request(url, { method, headers: headers, timeout: 10_000, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? null);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(null));
    asked.end(body);
  });
}
