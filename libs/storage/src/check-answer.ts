/** Checks the facts that a store returns about an object before they are used. */
import { PipelineError } from '#contracts/pipeline-error.js';

export interface ObjectHead {
  key: string;
  /** Without quotes. */
  etag: string;
  sizeBytes: number;
}

/** An object as listed by the store. */
export interface ListedObject extends ObjectHead {
  modifiedAt: Date;
}

/** @throws PipelineError OBJECT_REFUSED for an answer without an ETag, or without a valid size */
export function checkedHead(key: string, etag: string, sizeBytes = 0): ObjectHead {
  if (etag === '') throw unusable(key, 'no ETag, which tells its versions apart');
  if (!isSize(sizeBytes)) throw unusable(key, `the size ${String(sizeBytes)}`);
  return { key, etag, sizeBytes };
}

/**
 * Checks an entry of a listing. Its ETag and size are only hints, so a strange value does not stop the listing.
 * @param encoding encoding of the key, as the page states it
 * @returns null for an entry without a key, because no request could name that object
 */
export function listedObject(
  entry: { Key?: string | undefined; ETag?: string | undefined; Size?: number | undefined; LastModified?: Date | undefined },
  encoding: string | undefined,
): ListedObject | null {
  const key = entry.Key ? decodedKey(entry.Key, encoding) : null;
  if (!key) return null;
  const { Size = 0, LastModified } = entry;
  // A missing time counts as now, because young objects are never deleted.
  const modifiedAt = LastModified && Number.isFinite(LastModified.getTime()) ? LastModified : new Date();
  return { key, etag: bareEtag(entry.ETag), sizeBytes: isSize(Size) ? Size : 0, modifiedAt };
}

export const bareEtag = (etag: string | undefined): string => (etag ?? '').replaceAll('"', '');

/** Decodes a key of a listing with EncodingType=url, because keys may have characters that XML cannot hold. A store states whether it encodes. */
function decodedKey(key: string, encoding: string | undefined): string {
  if (encoding !== 'url') return key;
  try {
    return decodeURIComponent(key.replaceAll('+', '%20'));
  } catch {
    return key; // the store claims to encode, and does not
  }
}

const isSize = (size: number): boolean => Number.isSafeInteger(size) && size >= 0;

const unusable = (key: string, answer: string): PipelineError =>
  new PipelineError(
    'OBJECT_REFUSED',
    `The object store answers that ${key} has ${answer}. Check the proxy or gateway between this service and the store`,
    {
      context: { key },
    },
  );
