/**
 * Uploads files to the object store. A large file goes in parts, so memory never holds it whole. An interrupted upload continues:
 * parts whose bytes the store has already are not sent again.
 *
 * Delivery: an object exists whole or not at all. Sending the same file twice writes the same object. The store's ETag is compared
 * with the ETag that the file's bytes must give. If they differ, as for encrypted objects, a small object is read back. A large
 * object passes if all its parts have ETags of another kind; otherwise the result is OBJECT_CHECKSUM_MISMATCH.
 *
 * It does not clean up abandoned uploads; the store's life-cycle rules do that.
 */
import { createHash } from 'node:crypto';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ObjectStore } from './object-store.js';

const MIB = 1024 * 1024;
/** Files from this size on are sent in parts. */
const PARTS_FROM_BYTES = 64 * MIB;
/** Size of a part. A store takes 10 000 parts, so this allows files of 160 GB. */
const PART_BYTES = 16 * MIB;
const PARTS_AT_ONCE = 4;

export interface UploadOptions {
  /** Called with the bytes that have arrived, or were there from an interrupted upload. */
  onBytes?: (count: number) => void;
  /** Once it is aborted, no further part is begun. */
  signal?: AbortSignal;
}

/** The ETag that a store gives a file sent by `uploadFile`: MD5, or the MD5 of its parts' MD5s and their number. */
export async function expectedEtag(path: string): Promise<string> {
  const { size } = await stat(path);
  const parts: Buffer[] = [];
  await withFile(path, async (file) => {
    for (const part of partsOf(size)) parts.push(md5(await readPart(file, part)));
  });
  return etagOf(parts, size);
}

/** @throws OBJECT_CHECKSUM_MISMATCH; the file's own errors from Node; the signal's reason if it was aborted */
export async function uploadFile(store: ObjectStore, key: string, path: string, options: UploadOptions = {}): Promise<void> {
  const { size } = await stat(path);
  await withFile(path, (file) =>
    size < PARTS_FROM_BYTES ? sendWhole(store, key, { file, size }, options) : sendParts(store, key, { file, size }, options),
  );
}

interface OpenFile {
  file: FileHandle;
  size: number;
}

async function sendWhole(store: ObjectStore, key: string, { file, size }: OpenFile, { onBytes }: UploadOptions): Promise<void> {
  const bytes = await readPart(file, { number: 1, start: 0, end: size });
  const etag = await store.put(key, bytes);
  onBytes?.(size);
  if (etag === md5(bytes).toString('hex')) return;
  if (!bytes.equals((await store.get(key)).bytes)) throw corrupted(key);
}

async function sendParts(store: ObjectStore, key: string, { file, size }: OpenFile, { onBytes, signal }: UploadOptions): Promise<void> {
  const upload = await store.resumeUpload(key);
  const waiting = partsOf(size);
  const parts = waiting.length;
  const sums: Buffer[] = [];
  const etags = new Map<number, string>();
  let otherSums = 0;
  const send = async (): Promise<void> => {
    for (let part = waiting.shift(); part; part = waiting.shift()) {
      signal?.throwIfAborted();
      const bytes = await readPart(file, part);
      const sum = md5(bytes);
      const there = upload.parts.get(part.number);
      const etag = there === sum.toString('hex') ? there : await store.uploadPart(upload, part.number, bytes);
      etags.set(part.number, etag);
      sums[part.number - 1] = sum;
      if (etag !== sum.toString('hex')) otherSums++;
      onBytes?.(bytes.length);
    }
  };
  await Promise.all(Array.from({ length: PARTS_AT_ONCE }, send));
  if (otherSums > 0 && otherSums < parts) throw corrupted(key);
  const etag = await store.completeUpload(upload, etags);
  if (otherSums === 0 && etag !== etagOf(sums, size)) throw corrupted(key);
}

function corrupted(key: string): PipelineError {
  return new PipelineError('OBJECT_CHECKSUM_MISMATCH', `The store holds other bytes for ${key} than were sent. Put the file again`, {
    context: { key },
  });
}

interface FilePart {
  /** Part number, from 1. */
  number: number;
  start: number;
  end: number;
}

function partsOf(size: number): FilePart[] {
  if (size < PARTS_FROM_BYTES) return [{ number: 1, start: 0, end: size }];
  return Array.from({ length: Math.ceil(size / PART_BYTES) }, (_, part) => ({
    number: part + 1,
    start: part * PART_BYTES,
    end: Math.min(size, (part + 1) * PART_BYTES),
  }));
}

async function readPart(file: FileHandle, { start, end }: FilePart): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(end - start);
  let at = 0;
  while (at < bytes.length) {
    const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at);
    if (bytesRead === 0) throw new Error(`the file became shorter while it was read: ${start + at} bytes, not ${end}`);
    at += bytesRead;
  }
  return bytes;
}

async function withFile<Result>(path: string, work: (file: FileHandle) => Promise<Result>): Promise<Result> {
  const file = await open(path);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest();

function etagOf(parts: readonly Buffer[], size: number): string {
  const [only] = parts;
  if (only && size < PARTS_FROM_BYTES) return only.toString('hex');
  return `${md5(Buffer.concat(parts)).toString('hex')}-${parts.length}`;
}
