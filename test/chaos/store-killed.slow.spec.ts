/** kill -9 of the object store: stored objects survive, and retries succeed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts } from '#embedded/free-ports.js';
import { provisionAll } from '#embedded/provision.js';
import { EmbeddedS3, seaweedfsPorts } from '#embedded/seaweedfs.js';
import { readStoreConnection } from '#service/connection-config.js';
import { ObjectStore } from '#storage/object-store.js';
import { retrying } from '#streaming/retry.js';
import { randomName, until } from './stream-under-test.js';

const folder = mkdtempSync(join(tmpdir(), 'undertone-chaos-'));
let server: EmbeddedS3;
let store: ObjectStore;

beforeAll(async () => {
  const { seaweedfs } = await provisionAll({ needKafka: false, needS3: true, needTensorflow: false, log: () => undefined });
  if (!seaweedfs) throw new Error('This test must kill its own store: unset S3_ENDPOINT.');
  server = new EmbeddedS3({
    weed: seaweedfs.weed,
    dataDir: join(folder, 's3'),
    ports: seaweedfsPorts(await freePorts(10)),
    accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
  });
  await server.start();
  store = new ObjectStore({ ...readStoreConnection(), endpoint: server.endpoint, bucket: randomName() });
  await store.ensureBucket();
});

afterAll(async () => {
  store.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a store killed while objects are put', () => {
  it('keeps acknowledged objects, and retried puts and gets succeed when it is back', async () => {
    const acknowledged = new Set<string>();
    let retries = 0;
    let isPutting = true;
    let next = 0;
    const putter = async (): Promise<void> => {
      while (isPutting) {
        const key = `a/${next++}`;
        await retrying(() => store.put(key, key), { onRetry: () => retries++ });
        acknowledged.add(key);
      }
    };
    const putting = Promise.all([putter(), putter(), putter()]);
    await until(
      () => 'some puts',
      () => acknowledged.size >= 50,
    );
    await server.kill();
    await until(
      () => 'tries again',
      () => retries >= 3,
    );
    const [stored = ''] = acknowledged;
    const reading = retrying(() => store.get(stored));
    await server.start();
    const before = acknowledged.size;
    await until(
      () => 'more puts',
      () => acknowledged.size >= before + 50,
    );
    isPutting = false;
    await putting;
    expect(new TextDecoder().decode((await reading).bytes)).toBe(stored);
    const listed = new Set<string>();
    for await (const { key } of store.list('a/')) listed.add(key);
    expect([...acknowledged].filter((key) => !listed.has(key))).toEqual([]);
    for (const key of acknowledged) expect(new TextDecoder().decode((await store.get(key)).bytes)).toBe(key);
  });
});
