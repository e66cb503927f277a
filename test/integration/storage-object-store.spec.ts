/** The object store against a real S3 server: keys of every kind, long listings, and conditions that hold in a race. */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readStoreConnection } from '#service/connection-config.js';
import { ObjectStore, type ObjectHead } from '#storage/object-store.js';
import { freePorts } from '#embedded/free-ports.js';
import { randomName } from '../chaos/stream-under-test.js';

let store: ObjectStore;

beforeAll(async () => {
  store = new ObjectStore({ ...readStoreConnection(), bucket: randomName() });
  await store.ensureBucket();
});

afterAll(() => store.close());

async function listed(prefix: string): Promise<ObjectHead[]> {
  const found: ObjectHead[] = [];
  for await (const head of store.list(prefix)) found.push(head);
  return found;
}

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

describe('a bucket', () => {
  it('is created by four clients at once, and again, without an error', async () => {
    const bucket = randomName();
    const stores = [0, 1, 2, 3].map(() => new ObjectStore({ ...readStoreConnection(), bucket }));
    await Promise.all(stores.map((each) => each.ensureBucket()));
    await stores[0]?.ensureBucket();
    await stores[1]?.put('a', 'there');
    expect(text((await stores[2]?.find('a'))?.bytes)).toBe('there');
    for (const each of stores) each.close();
  });
});

describe('an object', () => {
  it.each([
    'plain/a.wav',
    'with space/a b.wav',
    'plus/a+b+c.wav',
    'per cent/100%/%41%2F%.wav',
    'unicode/Größe 学習 é (decomposed e\u0301).wav',
    'both/a b+c%20d%2B.wav',
    'not in XML/\ufffe\uffff.wav',
    'signs/!\'()*&=?#;,:@$"<>~`[]{}|^.wav',
    'deep/a/b/c/d/e/f/g/h/i/j',
  ])('under the key %j is the same in put, get, head and list', async (key) => {
    const etag = await store.put(key, `contents of ${key}`);
    const found = await store.get(key);
    expect(text(found.bytes)).toBe(`contents of ${key}`);
    expect(found.etag).toBe(etag);
    const head = { key, etag, sizeBytes: Buffer.byteLength(`contents of ${key}`) };
    expect(await store.head(key)).toEqual(head);
    const inList = { ...head, modifiedAt: expect.any(Date) as Date };
    expect(await listed(key.slice(0, key.indexOf('/') + 1))).toEqual([inList]);
    expect(await listed(key)).toEqual([inList]);
    await store.delete(key);
    expect(await store.find(key)).toBeNull();
  });

  it('of no bytes, and one of 20 MB, come back as they were', async () => {
    await store.put('empty', new Uint8Array());
    expect((await store.get('empty')).bytes).toHaveLength(0);
    const large = Buffer.alloc(20_000_000, 'undertone ');
    await store.put('large', large);
    expect(Buffer.compare((await store.get('large')).bytes, large)).toBe(0);
  });

  it('that is missing gives null from head and find, and OBJECT_GONE from get', async () => {
    expect(await store.head('nowhere')).toBeNull();
    expect(await store.find('nowhere')).toBeNull();
    expect(await store.findJson('nowhere')).toBeNull();
    await expect(store.get('nowhere')).rejects.toMatchObject({ code: 'OBJECT_GONE', fate: 'permanent' });
    await store.delete('nowhere');
  });
});

describe('a listing', () => {
  it('of more than a page holds every object once', async () => {
    const keys = Array.from({ length: 1_234 }, (_, i) => `many/${i % 3}/${i % 7 === 0 ? 'a b+%' : 'k'}${i}`);
    const rest = [...keys];
    await Promise.all(
      Array.from({ length: 32 }, async () => {
        for (let key = rest.pop(); key !== undefined; key = rest.pop()) await store.put(key, '.');
      }),
    );
    expect((await listed('many/')).map(({ key }) => key).sort()).toEqual(keys.sort());
    expect(await listed('many/1/')).toHaveLength(keys.filter((key) => key.startsWith('many/1/')).length);
    expect(await listed('none/')).toEqual([]);
  });
});

describe('a conditional put', () => {
  it('for an absent object succeeds for exactly one of twenty clients', async () => {
    for (let race = 0; race < 2; race++) {
      const written = await Promise.all(
        Array.from({ length: 20 }, (_, writer) => store.put(`race/${race}`, `writer ${writer}`, { onlyIf: 'absent' })),
      );
      const winners = written.flatMap((etag, writer) => (etag === null ? [] : [writer]));
      expect(winners).toHaveLength(1);
      expect(text((await store.get(`race/${race}`)).bytes)).toBe(`writer ${winners[0]}`);
    }
  });

  it('on an ETag succeeds for that object only, and for one of eight clients', async () => {
    const first = (await store.put('by-etag', 'first')) ?? '';
    const second = (await store.put('by-etag', 'second', { onlyIf: { etag: first } })) ?? '';
    expect(second).not.toBe('');
    expect(await store.put('by-etag', 'third', { onlyIf: { etag: first } })).toBeNull();
    expect(text((await store.get('by-etag')).bytes)).toBe('second');
    const written = await Promise.all(
      Array.from({ length: 8 }, (_, writer) => store.put('by-etag', `writer ${writer}`, { onlyIf: { etag: second } })),
    );
    expect(written.filter((etag) => etag !== null)).toHaveLength(1);
    expect(await store.put('never-there', 'x', { onlyIf: { etag: first } })).toBeNull();
    expect(await store.find('never-there')).toBeNull();
  });
});

describe('the count of calls', () => {
  it('has one entry for each call, with operation and outcome', async () => {
    const calls: string[] = [];
    const counted = new ObjectStore(
      { ...readStoreConnection(), bucket: store.bucket },
      { onCall: ({ operation, outcome }) => calls.push(`${operation} ${outcome}`) },
    );
    await counted.put('counted', 'x', { onlyIf: 'absent' });
    await counted.put('counted', 'x', { onlyIf: 'absent' });
    await counted.get('counted');
    await counted.findRange('counted', 0, 1);
    await counted.head('never-there');
    await expect(counted.get('never-there')).rejects.toMatchObject({ code: 'OBJECT_GONE' });
    await counted.list('counted').next();
    await counted.delete('counted');
    counted.close();
    expect(calls).toEqual(['put ok', 'put absent', 'get ok', 'range ok', 'head absent', 'get absent', 'list ok', 'delete ok']);
    const [port = 0] = await freePorts(1);
    const away = new ObjectStore(
      { ...readStoreConnection(), endpoint: `http://127.0.0.1:${port}` },
      { onCall: ({ operation, outcome, seconds }) => calls.push(`${operation} ${outcome} ${seconds > 0}`) },
    );
    await expect(away.get('a')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    away.close();
    expect(calls.at(-1)).toBe('get unavailable true');
  });
});

describe('a store that is away', () => {
  it('is STORAGE_UNAVAILABLE, which may pass, for every call', async () => {
    const [port = 0] = await freePorts(1);
    const away = new ObjectStore({ ...readStoreConnection(), endpoint: `http://127.0.0.1:${port}`, bucket: 'none' });
    const calls = [away.head('a'), away.find('a'), away.get('a'), away.put('a', 'b'), away.delete('a'), away.ensureBucket()];
    const results = await Promise.allSettled([...calls, away.list('').next()]);
    for (const result of results)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'STORAGE_UNAVAILABLE', fate: 'retryable' } });
    away.close();
  });
});

describe('a store that accepts connections and never answers', () => {
  it('is STORAGE_UNAVAILABLE', async () => {
    const held = new Set<Socket>();
    const mute = createServer((socket) => held.add(socket));
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as AddressInfo;
    const away = new ObjectStore({ ...readStoreConnection(), endpoint: `http://127.0.0.1:${port}` }, { idleLimitMs: 100 });
    await expect(away.get('a')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    away.close();
    for (const socket of held) socket.destroy();
    mute.close();
  });
});

describe('credentials that the store does not know', () => {
  it('give CONFIG_INVALID with the reason of the store, for the bucket and for its objects', async () => {
    const { AWS_ACCESS_KEY_ID: known } = process.env;
    process.env['AWS_ACCESS_KEY_ID'] = 'nobody';
    const stranger = new ObjectStore({ ...readStoreConnection(), bucket: store.bucket });
    const calls = [stranger.ensureBucket(), stranger.get('a'), stranger.head('a'), stranger.put('a', 'b'), stranger.list('').next()];
    const results = await Promise.allSettled(calls);
    process.env['AWS_ACCESS_KEY_ID'] = known;
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'CONFIG_INVALID' } });
      expect(String((result as PromiseRejectedResult).reason)).toContain('InvalidAccessKeyId');
    }
    stranger.close();
  });
});

describe('a bucket that is gone', () => {
  it('gives an error of its own, not the error of a missing object', async () => {
    const gone = new ObjectStore({ ...readStoreConnection(), bucket: randomName() });
    await expect(gone.find('a')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('NoSuchBucket') as string,
    });
    gone.close();
  });
});
