/**
 * Unpacks records that another writer, or the broker (`compression.type`), has compressed with gzip, snappy, lz4 or zstd. The Kafka
 * client supports gzip only. This client never compresses.
 *
 * A batch may not grow beyond {@link maxBatchBytes}. Otherwise a few kilobytes could take all memory.
 */
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { unzip, zstdDecompress } from 'node:zlib';
import { PipelineError } from '#contracts/pipeline-error.js';

const require = createRequire(import.meta.url);
const { CompressionTypes, CompressionCodecs } = require('kafkajs') as typeof import('kafkajs');
const snappy = require('snappyjs') as { uncompress: (bytes: Buffer, maxLength: number) => Buffer };
const lz4 = require('lz4js') as {
  decompressBound: (bytes: Uint8Array) => number;
  decompressFrame: (bytes: Uint8Array, into: Uint8Array) => number;
};

/** Most bytes of the unpacked records of one batch. A broker takes 1 MiB packed by default. */
export const maxBatchBytes = 64 * 1024 * 1024;

const tooLarge = (): PipelineError => new PipelineError('RECORD_INVALID', `the unpacked records have more than ${maxBatchBytes} bytes`);

/** Java's writers compress with snappy in blocks, behind a header of their own. */
const xerialHeader = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeaderBytes = 16;
const lengthBytes = 4;

function unpackSnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, xerialHeader.length).equals(xerialHeader)) return snappy.uncompress(bytes, maxBatchBytes);
  const blocks: Buffer[] = [];
  let left = maxBatchBytes;
  for (let at = xerialHeaderBytes; at + lengthBytes <= bytes.length; ) {
    const size = bytes.readUInt32BE(at);
    at += lengthBytes;
    const block = snappy.uncompress(bytes.subarray(at, at + size), left);
    left -= block.length;
    blocks.push(block);
    at += size;
  }
  return Buffer.concat(blocks);
}

function unpackLz4(bytes: Buffer): Buffer {
  const bound = lz4.decompressBound(bytes);
  if (!(bound <= maxBatchBytes)) throw tooLarge();
  const into = Buffer.alloc(bound);
  const size = lz4.decompressFrame(bytes, into);
  if (size > into.length) throw new PipelineError('RECORD_INVALID', 'the lz4 frame is longer than its header says');
  return into.subarray(0, size);
}

const limits = { maxOutputLength: maxBatchBytes };
const unpackGzip = promisify((bytes: Buffer, done: (error: Error | null, unpacked: Buffer) => void) => unzip(bytes, limits, done));
const unpackZstd = promisify((bytes: Buffer, done: (error: Error | null, unpacked: Buffer) => void) => zstdDecompress(bytes, limits, done));
const unpackers: Record<number, (bytes: Buffer) => Buffer | Promise<Buffer>> = {
  [CompressionTypes.GZIP]: unpackGzip,
  [CompressionTypes.Snappy]: unpackSnappy,
  [CompressionTypes.LZ4]: unpackLz4,
  [CompressionTypes.ZSTD]: unpackZstd,
};

interface Codec {
  compress: (encoder: unknown) => Promise<Buffer>;
  decompress: (bytes: Buffer) => Promise<Buffer>;
}

/** Installs the codecs for all clients of this process. */
export function registerCodecs(): void {
  const codecs: Record<number, () => Codec> = CompressionCodecs;
  for (const [type, unpack] of Object.entries(unpackers)) {
    codecs[Number(type)] = () => ({
      compress: () => Promise.reject(new Error('This client does not compress what it sends')),
      decompress: async (bytes: Buffer) => unpack(bytes),
    });
  }
}
