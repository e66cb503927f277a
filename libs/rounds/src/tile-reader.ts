/**
 * The thread that reads tiles while a step computes. It reads shard files on the local disk. For shards that did not fit
 * there, it reads ranges of the object. In: `ToReader`. Out: one `FromReader` for each `read`, in any order.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { ObjectStore, type StoreCall } from '#storage/object-store.js';
import { retrying } from '#streaming/retry.js';
import type { FromReader, OpenShard, ReaderData, ToReader } from './tile-store.js';

const { connection } = workerData as ReaderData;
const onCall = (call: StoreCall): void => parentPort?.postMessage({ call } satisfies FromReader);
const store = connection ? new ObjectStore(connection, { onCall, retry: retrying }) : null;
/** A file is opened at its first read. Null means that there is no file, so the object is read. */
const shards = new Map<string, { shard: OpenShard; file: number | null }>();

parentPort?.on('message', (message: ToReader) => {
  if (message.type === 'open') for (const shard of message.shards) shards.set(shard.shardId, { shard, file: null });
  else if (message.type === 'close') for (const shardId of message.shardIds) closeShard(shardId);
  else void answer(message);
});

function closeShard(shardId: string): void {
  const file = shards.get(shardId)?.file;
  if (typeof file === 'number') closeSync(file);
  shards.delete(shardId);
}

async function answer({ id, places }: Extract<ToReader, { type: 'read' }>): Promise<void> {
  try {
    const pixels = await read(places);
    parentPort?.postMessage({ id, pixels } satisfies FromReader, [pixels.buffer]);
  } catch (error) {
    const { message, code, stack } = error as Error & { code?: string };
    parentPort?.postMessage({ id, error: { message, code: code ?? null, stack } } satisfies FromReader);
  }
}

/** @returns tiles one after another, all of the size of the first */
async function read(places: readonly { shardId: string; row: number }[]): Promise<Uint8Array<ArrayBuffer>> {
  const tileBytes = shards.get(places[0]?.shardId ?? '')?.shard.tileBytes ?? 0;
  const pixels = new Uint8Array(places.length * tileBytes);
  await Promise.all(
    places.map(async ({ shardId, row }, index) => {
      const open = shards.get(shardId);
      if (!open) throw new Error(`Shard ${shardId} was read before TileStore.prepare opened it`);
      const { path, objectKey, tilesAt } = open.shard;
      const into = pixels.subarray(index * tileBytes, (index + 1) * tileBytes);
      const at = tilesAt + row * tileBytes;
      if (path === null) {
        const found = await store?.findRange(objectKey, at, tileBytes);
        if (found?.length !== tileBytes)
          throw Object.assign(new Error(`The object ${objectKey} is gone, or shorter than before`), { code: 'OBJECT_GONE' });
        into.set(found);
        return;
      }
      open.file ??= openSync(path, 'r');
      const count = readSync(open.file, into, 0, tileBytes, at);
      if (count !== tileBytes)
        throw new Error(`${path} is shorter than before. Do not change shard files while they are read. Start again.`);
    }),
  );
  return pixels;
}
