/** The lease of a run or a job in a real object store: one holder at a time, and epochs that only rise. */
import { createServer, request, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runLeaseKey as leaseKey } from '#contracts/object-keys.js';
import { readStoreConnection } from '#service/connection-config.js';
import { ObjectStore } from '#storage/object-store.js';
import { Lease, roundStarts, verifyEpoch } from '#storage/lease.js';
import { randomName, until } from '../chaos/stream-under-test.js';

const bucket = randomName();
let store: ObjectStore;

beforeAll(async () => {
  store = new ObjectStore({ ...readStoreConnection(), bucket });
  await store.ensureBucket();
});

afterAll(() => store.close());

const noWait = (by: string): void => {
  throw new Error(`waited for ${by}`);
};
const lost = { code: 'LEASE_LOST' };

/** Makes the lease look as if its holder had not renewed it for a minute. */
async function age(runId: string): Promise<void> {
  const lease = (await store.findJson(leaseKey(runId))) as object;
  await store.put(leaseKey(runId), JSON.stringify({ ...lease, renewedAt: new Date(Date.now() - 60_000).toISOString() }));
}

describe('a second holder', () => {
  it('waits while the lease is renewed, takes it when it is not, and the first holder notices', async () => {
    const runId = randomName();
    const first = await Lease.acquire(store, leaseKey(runId), 'a', noWait);
    const waitedFor: string[] = [];
    const acquiring = Lease.acquire(store, leaseKey(runId), 'b', (by) => waitedFor.push(by));
    await until(
      () => 'two waits',
      async () => {
        await first.renew();
        return waitedFor.length >= 2;
      },
    );
    await verifyEpoch(store, leaseKey(runId), first.epoch);
    await age(runId);
    const second = await acquiring;
    expect(second.epoch).toBe(first.epoch + 1);
    expect(new Set(waitedFor)).toEqual(new Set(['a']));
    await expect(first.renew()).rejects.toMatchObject(lost);
    await expect(verifyEpoch(store, leaseKey(runId), first.epoch)).rejects.toMatchObject(lost);
    await verifyEpoch(store, leaseKey(runId), second.epoch);
    await second.renew();
  });
});

describe('the same holder', () => {
  it('takes its lease again at once with a higher epoch, and its earlier instance loses it', async () => {
    const runId = randomName();
    const before = await Lease.acquire(store, leaseKey(runId), 'a', noWait);
    const after = await Lease.acquire(store, leaseKey(runId), 'a', noWait);
    expect([before.epoch, after.epoch]).toEqual([1, 2]);
    await expect(before.renew()).rejects.toMatchObject(lost);
    await expect(verifyEpoch(store, leaseKey(runId), before.epoch)).rejects.toMatchObject(lost);
    await after.renew();
  });

  it('gets ten epochs when started ten times at once, and the highest epoch holds', async () => {
    const runId = randomName();
    const leases = await Promise.all(Array.from({ length: 10 }, () => Lease.acquire(store, leaseKey(runId), 'a', noWait)));
    const epochs = leases.map(({ epoch }) => epoch).sort((a, b) => a - b);
    expect(epochs).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    for (const lease of leases) {
      if (lease.epoch === 10) await lease.renew();
      else await expect(lease.renew()).rejects.toMatchObject(lost);
    }
  });
});

describe('two holders at once', () => {
  it('end with different epochs, one after the other', async () => {
    const runId = randomName();
    const waits: string[] = [];
    const acquiring = ['a', 'b'].map((holder) => Lease.acquire(store, leaseKey(runId), holder, () => waits.push(holder)));
    const first = await Promise.race(acquiring);
    await until(
      () => 'the other to wait',
      () => waits.length > 0,
    );
    await age(runId);
    const leases = await Promise.all(acquiring);
    expect(leases.map(({ epoch }) => epoch).sort()).toEqual([1, 2]);
    expect(first.epoch).toBe(1);
    expect(new Set(waits).size).toBe(1);
  });
});

describe('a note', () => {
  it('stays through renewals, and is removed with its holder', async () => {
    const runId = randomName();
    const roundStartedAt = new Date('2026-01-02T03:04:05.000Z');
    const lease = await Lease.acquire(store, leaseKey(runId), 'a', noWait);
    expect(await roundStarts(store)).not.toContainEqual(roundStartedAt);
    await Promise.all([lease.note({ roundStartedAt }), lease.renew()]);
    await lease.renew();
    expect(await roundStarts(store)).toContainEqual(roundStartedAt);
    const next = await Lease.acquire(store, leaseKey(runId), 'a', noWait);
    expect(await roundStarts(store)).not.toContainEqual(roundStartedAt);
    await expect(lease.note({ roundStartedAt })).rejects.toMatchObject(lost);
    await next.note({ roundStartedAt });
    await age(runId);
    expect(await roundStarts(store), 'a minute without renewal may be a trainer that is held up').toContainEqual(roundStartedAt);
    await next.release();
    expect(await roundStarts(store)).not.toContainEqual(roundStartedAt);
  });

  it('may be absent, as in older leases', async () => {
    const runId = randomName();
    const renewedAt = new Date().toISOString();
    await store.put(leaseKey(runId), JSON.stringify({ epoch: 4, holder: 'a', renewedAt }));
    await roundStarts(store);
    expect((await Lease.acquire(store, leaseKey(runId), 'a', noWait)).epoch).toBe(5);
  });
});

describe('a lease of a run that was deleted', () => {
  it('is lost', async () => {
    const runId = randomName();
    const lease = await Lease.acquire(store, leaseKey(runId), 'a', noWait);
    await store.delete(leaseKey(runId));
    await expect(lease.renew()).rejects.toMatchObject(lost);
    await expect(verifyEpoch(store, leaseKey(runId), lease.epoch)).rejects.toMatchObject(lost);
  });
});

describe('an answer of the store that gets lost', () => {
  it('loses neither a renewal nor an acquisition that was done', async () => {
    const runId = randomName();
    const { server, endpoint, loseNextPut } = await forgetfulProxy(readStoreConnection().endpoint ?? '');
    const behindProxy = new ObjectStore({ ...readStoreConnection(), bucket, endpoint });
    loseNextPut();
    const lease = await Lease.acquire(behindProxy, leaseKey(runId), 'a', noWait);
    loseNextPut();
    await lease.renew();
    await verifyEpoch(store, leaseKey(runId), lease.epoch);
    await lease.renew();
    behindProxy.close();
    server.close();
  });
});

/** A proxy of the store that can cut the connection between a finished put and its answer. */
async function forgetfulProxy(target: string): Promise<{ server: Server; endpoint: string; loseNextPut: () => void }> {
  let toLose = 0;
  const server = createServer((incoming, outgoing) => {
    const outgoingRequest = request(
      new URL(incoming.url ?? '/', target),
      { method: incoming.method, headers: incoming.headers },
      (answer) => {
        if (incoming.method === 'PUT' && toLose > 0 && answer.statusCode === 200) {
          toLose--;
          answer.resume();
          return answer.once('end', () => incoming.socket.destroy());
        }
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        return answer.pipe(outgoing);
      },
    );
    incoming.pipe(outgoingRequest);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return { server, endpoint: `http://127.0.0.1:${port}`, loseNextPut: () => (toLose = 1) };
}
