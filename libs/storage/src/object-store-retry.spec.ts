/** A small server plays a store with an outage. test/integration tests real stores. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ObjectStore, type ObjectStoreOptions } from './object-store.js';

let server: Server;
let refusals: number;
const opened: ObjectStore[] = [];

beforeEach(async () => {
  process.env['AWS_ACCESS_KEY_ID'] ??= 'key';
  process.env['AWS_SECRET_ACCESS_KEY'] ??= 'secret';
  server = createServer((request, response) => {
    request.resume();
    response.writeHead(refusals-- > 0 ? 503 : 200, { etag: '"tag"' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  for (const store of opened) store.close();
  server.close();
});

function openStore(options: ObjectStoreOptions = {}): ObjectStore {
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const store = new ObjectStore({ endpoint, region: 'us-east-1', bucket: 'b', forcePathStyle: true }, options);
  opened.push(store);
  return store;
}

it('fails a call after its own short retries', async () => {
  refusals = 5;
  await expect(openStore().head('key')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
});

it('repeats a call with a retry function until the store is back, and counts each try', async () => {
  refusals = 9;
  const outcomes: string[] = [];
  const untilItIsBack = async <Result>(call: () => Promise<Result>): Promise<Result> => call().catch(() => untilItIsBack(call));
  const store = openStore({ retry: untilItIsBack, onCall: ({ outcome }) => outcomes.push(outcome) });
  expect(await store.head('key')).toMatchObject({ etag: 'tag' });
  expect(outcomes).toEqual(['unavailable', 'unavailable', 'ok']);
});
