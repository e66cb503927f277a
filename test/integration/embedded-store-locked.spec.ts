/** Checks the embedded object store from the side of a web page or another program, without the keys of its bucket. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts } from '#embedded/free-ports.js';
import { provisionAll } from '#embedded/provision.js';
import { EmbeddedS3, seaweedfsPorts, type SeaweedfsPorts } from '#embedded/seaweedfs.js';
import { readStoreConnection } from '#service/connection-config.js';
import { ObjectStore } from '#storage/object-store.js';

const bucket = 'locked';
const key = 'corpora/secret-corpus/a.wav';
/** Larger than one chunk of the store. */
const recording = Buffer.alloc(9_000_000, 'speech');

let dataDir: string;
let ports: SeaweedfsPorts;
let embedded: EmbeddedS3;
let store: ObjectStore;
let receiver: Server;
const received: { authorization: string | undefined; contentType: string | undefined; body: string }[] = [];

beforeAll(async () => {
  receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      received.push({ authorization: request.headers.authorization, contentType: request.headers['content-type'], body });
      response.writeHead(202).end();
    });
  });
  await once(receiver.listen(0, '127.0.0.1'), 'listening');
  dataDir = mkdtempSync(join(tmpdir(), 'undertone-locked-'));
  const { seaweedfs } = await provisionAll({ needKafka: false, needS3: true, needTensorflow: false, log: () => undefined });
  ports = seaweedfsPorts(await freePorts(10));
  embedded = new EmbeddedS3({
    weed: seaweedfs?.weed ?? '',
    dataDir: join(dataDir, 's3'),
    ports,
    accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
    webhookUrl: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/bucket-events`,
    webhookBearerToken: 'a-token-of-the-webhook',
    webhookBuckets: [bucket],
  });
  await embedded.start();
  store = new ObjectStore(readStoreConnection({ S3_ENDPOINT: embedded.endpoint, S3_BUCKET: bucket }));
  await store.ensureBucket();
  await store.put(key, recording);
});

afterAll(async () => {
  await embedded?.stop();
  receiver?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const httpPorts = ['s3', 'master', 'volume', 'filer', 'admin'] as const;
const methods = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS'];
/** Requests with any method that concern the server itself. */
const pagesOfTheMaster = ['/', '/ui/index.html'];
const filerPath = `/buckets/${bucket}/${key}`;
const paths = [
  '/',
  `/${bucket}`,
  `/${bucket}?list-type=2`,
  `/${bucket}/${key}`,
  `/buckets/${bucket}/corpora/?pretty=y`,
  filerPath,
  `${filerPath}?metadata=true`,
  `${filerPath}?recursive=true`,
  `/buckets/${bucket}?recursive=true&ignoreRecursiveError=true`,
  `/col/delete?collection=${bucket}`,
  `/dir/assign?collection=${bucket}`,
  '/dir/lookup?volumeId=1',
  `/vol/status`,
  '/submit',
  '/1,01',
  '/ui/index.html',
  `/.tus${filerPath}`,
];

describe('the embedded object store', () => {
  it.each(httpPorts)('neither reveals nor changes the bucket at its %s port without a key', async (use) => {
    for (const path of paths) {
      for (const method of methods) {
        const answer = await fetch(`http://127.0.0.1:${ports[use]}${path}`, {
          method,
          headers: {
            connection: 'close',
            origin: 'https://evil.example',
            ...(method === 'OPTIONS' && { 'access-control-request-method': 'PUT' }),
          },
          ...(method === 'PUT' || method === 'POST' ? { body: 'evil' } : {}),
          redirect: 'manual',
        }).catch(() => null);
        // The server closed the connection without an answer.
        if (!answer) continue;
        const body = await answer.text();
        expect(body, `${method} ${path}`).not.toContain('speech');
        // A refusal may repeat the requested path.
        if (!path.includes(key)) expect(body, `${method} ${path}`).not.toContain('secret-corpus');
        const isWrite = ['PUT', 'POST', 'DELETE'].includes(method);
        if (isWrite && !pagesOfTheMaster.includes(path)) expect(answer.status, `${method} ${path}`).toBeGreaterThanOrEqual(400);
      }
    }
    const found = await store.find(key);
    expect(found && Buffer.from(found.bytes).equals(recording)).toBe(true);
    const keys = [];
    for await (const object of store.list('')) keys.push(object.key);
    expect(keys).toEqual([key]);
  });

  it.each(['ListUsers', 'CreateUser', 'CreateAccessKey', 'AssumeRole'])(
    'neither creates nor lists users, keys or roles: %s',
    async (action) => {
      for (const version of ['2010-05-08', '2011-06-15']) {
        const answer = await fetch(embedded.endpoint, {
          method: 'POST',
          headers: { connection: 'close' },
          body: new URLSearchParams({
            Action: action,
            Version: version,
            UserName: 'evil',
            RoleArn: 'arn:aws:iam::x:role/x',
            RoleSessionName: 'x',
          }),
        });
        expect(answer.status).toBe(405);
      }
    },
  );

  it('notifies ingest of each object, in JSON and with the token', async () => {
    await expect.poll(() => received.length, { timeout: 10_000 }).toBeGreaterThan(0);
    for (const { authorization, contentType } of received) {
      expect(authorization).toBe('Bearer a-token-of-the-webhook');
      expect(contentType).toMatch(/^application\/json/);
    }
    expect(received.some(({ body }) => body.includes(key))).toBe(true);
  });

  it('keeps its data and its keys from other users', () => {
    const modeOf = (...names: string[]): string => (statSync(join(dataDir, 's3', ...names)).mode & 0o777).toString(8);
    expect([modeOf(), modeOf('objects'), modeOf('security.toml'), modeOf('notification.toml')]).toEqual(['700', '700', '600', '600']);
  });
});
