/** JSON in objects that are gzip: views, parts of what a run has seen, published experiments. */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Objects } from './object-store.js';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** @param json the text, since some callers name the object by its digest */
export async function putGzipJson(store: Pick<Objects, 'put'>, key: string, json: string): Promise<void> {
  await store.put(key, await compress(json), { contentType: 'application/gzip' });
}

/** @returns the text of the JSON; null if there is no such object */
export async function findGzipJson(store: Pick<Objects, 'find'>, key: string): Promise<string | null> {
  const found = await store.find(key);
  return found && (await decompress(found.bytes)).toString();
}
