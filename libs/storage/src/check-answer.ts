/** Checks the facts that a store answers about an object before anybody builds on them. */
import { PipelineError } from '#contracts/pipeline-error.js';

export interface ObjectHead {
  key: string;
  /** Without quotes. */
  etag: string;
  sizeBytes: number;
}

/** An object as a listing states it. */
export interface ListedObject extends ObjectHead {
  modifiedAt: Date;
}

/** @throws PipelineError OBJECT_REFUSED for an answer without an ETag, or with a size that is none */
export function checkedHead(key: string, etag: string, sizeBytes = 0): ObjectHead {
  if (etag === '') throw unusable(key, 'no ETag, by which its versions are told apart');
  if (!isSize(sizeBytes)) throw unusable(key, `the size ${String(sizeBytes)}`);
  return { key, etag, sizeBytes };
}

/**
 * An entry of a listing. Its ETag and size are hints, so that a strange one is no reason to stop the listing.
 * @param encoding of the key, as the page states it
 * @returns null for an entry without a key: nobody could ask for that object
 */
export function listedObject(
  entry: { Key?: string | undefined; ETag?: string | undefined; Size?: number | undefined; LastModified?: Date | undefined },
  encoding: string | undefined,
): ListedObject | null {
  const key = entry.Key ? decodedKey(entry.Key, encoding) : null;
  if (!key) return null;
  const { Size = 0, LastModified } = entry;
  // A store that does not say when is taken to mean now: what is young is left alone.
  const modifiedAt = LastModified && Number.isFinite(LastModified.getTime()) ? LastModified : new Date();
  return { key, etag: bareEtag(entry.ETag), sizeBytes: isSize(Size) ? Size : 0, modifiedAt };
}

export const bareEtag = (etag: string | undefined): string => (etag ?? '').replaceAll('"', '');

/** A listing with EncodingType=url: keys may have characters that no XML has. A store that does not know it says so. */
function decodedKey(key: string, encoding: string | undefined): string {
  if (encoding !== 'url') return key;
  try {
    return decodeURIComponent(key.replaceAll('+', '%20'));
  } catch {
    return key; // it says that it encodes, and does not
  }
}

const isSize = (size: number): boolean => Number.isSafeInteger(size) && size >= 0;

const unusable = (key: string, answer: string): PipelineError =>
  new PipelineError(
    'OBJECT_REFUSED',
    `The object store answers that ${key} has ${answer}. Look at what stands between ingest and the store`,
    {
      context: { key },
    },
  );
