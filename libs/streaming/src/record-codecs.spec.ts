/** Batches as the client decodes them. In test/integration/compressed-records.spec.ts a broker compresses them. */
import { createRequire } from 'node:module';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { kafkaClient } from './kafka-client.js';
import { maxBatchBytes } from './record-codecs.js';
import { refuseUndecodable } from './undecodable-batches.js';

void kafkaClient; // applies the patches

const require = createRequire(import.meta.url);
const { CompressionCodecs, CompressionTypes } = require('kafkajs') as typeof import('kafkajs');
const snappy = require('snappyjs') as { compress: (bytes: Buffer) => Buffer };
const lz4 = require('lz4js') as { compress: (bytes: Uint8Array) => Uint8Array };
const Decoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => unknown;
interface Decoded {
  offset: string;
  value: Buffer;
  headers: Record<string, Buffer>;
}
const decodeMessages = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages') as (decoder: unknown) => Promise<Decoded[]>;

const unpack = (type: number, bytes: Buffer): Promise<Buffer> => {
  const codec = (CompressionCodecs as Record<number, () => { decompress: (bytes: Buffer) => Promise<Buffer> }>)[type];
  return codec?.().decompress(bytes) ?? Promise.reject(new Error('no codec'));
};

/** Snappy as Java's writers frame it. */
function xerial(...blocks: Buffer[]): Buffer {
  const header = Buffer.alloc(16);
  Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]).copy(header);
  const framed = blocks.map((block) => {
    const packed = snappy.compress(block);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(packed.length);
    return Buffer.concat([length, packed]);
  });
  return Buffer.concat([header, ...framed]);
}

const packers: [string, number, (bytes: Buffer) => Buffer][] = [
  ['gzip', CompressionTypes.GZIP, gzipSync],
  ['snappy', CompressionTypes.Snappy, snappy.compress],
  ['snappy in blocks', CompressionTypes.Snappy, (bytes) => xerial(bytes.subarray(0, 1_000), bytes.subarray(1_000))],
  ['lz4', CompressionTypes.LZ4, (bytes) => Buffer.from(lz4.compress(bytes))],
  ['zstd', CompressionTypes.ZSTD, zstdCompressSync],
];
const text = Buffer.from(JSON.stringify(Array.from({ length: 5_000 }, (_, n) => ({ n, text: `some text ${n % 7}` }))));

describe.each(packers)('%s', (_name, type, pack) => {
  it('unpacks to the packed bytes', async () => {
    expect((await unpack(type, pack(text))).equals(text)).toBe(true);
  });

  it('is refused when it is garbage', async () => {
    await expect(unpack(type, Buffer.from('ffffffffffffffffffffffffffffffff', 'hex'))).rejects.toThrow();
  });

  it('is refused when it would grow beyond the limit', async () => {
    await expect(unpack(type, pack(Buffer.alloc(maxBatchBytes + 5_000_000)))).rejects.toThrow();
  });
});

/** A batch of version 2 as in an answer, with the packed bytes of its records. */
function batchOf({ firstOffset, count, codec, packed }: { firstOffset: bigint; count: number; codec: number; packed: Buffer }): Buffer {
  const batch = Buffer.alloc(61);
  batch.writeBigInt64BE(firstOffset, 0);
  batch.writeInt32BE(61 - 12 + packed.length, 8);
  batch.writeInt8(2, 16);
  batch.writeInt16BE(codec, 21);
  batch.writeInt32BE(count - 1, 23);
  batch.writeBigInt64BE(-1n, 43);
  batch.writeInt32BE(count, 57);
  return Buffer.concat([batch, packed]);
}

async function decodedOf(...batches: Buffer[]): Promise<Decoded[]> {
  const body = Buffer.concat(batches);
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  return decodeMessages(new Decoder(Buffer.concat([length, body])));
}

/** One record: its length, attributes, time, offset, no key, the value and no headers. */
const plainRecord = (value: string): Buffer => {
  const body = Buffer.concat([Buffer.from([0, 0, 0, 1, value.length * 2]), Buffer.from(value), Buffer.from([0])]);
  return Buffer.concat([Buffer.from([body.length * 2]), body]);
};

describe('a batch that cannot be decoded', () => {
  const garbage = Buffer.from('no codec made this, ever');

  it.each([1, 2, 3, 4])('becomes one record at its last offset with the reason, and its neighbours are read (codec %i)', async (codec) => {
    const good = (firstOffset: bigint): Buffer => batchOf({ firstOffset, count: 1, codec: 1, packed: gzipSync(plainRecord('fine')) });
    const records = await decodedOf(good(4n), batchOf({ firstOffset: 5n, count: 10, codec, packed: garbage }), good(15n));
    expect(records.map(({ offset }) => offset)).toEqual(['4', '14', '15']);
    const [before, bad, after] = records as [Decoded, Decoded, Decoded];
    expect([before, after].map(({ value }) => value.toString())).toEqual(['fine', 'fine']);
    expect(bad.value.equals(garbage)).toBe(true);
    expect(() => refuseUndecodable(bad.headers)).toThrow(/offsets 5 to 14 cannot be decoded: ./);
    expect(() => refuseUndecodable(bad.headers)).toThrow(expect.objectContaining({ code: 'RECORD_INVALID' }));
    expect(() => refuseUndecodable(before.headers)).not.toThrow();
  });

  it('includes a batch that ends before all its records', async () => {
    const packed = gzipSync(plainRecord('only one of three'));
    const records = await decodedOf(batchOf({ firstOffset: 0n, count: 3, codec: 1, packed }));
    expect(records.map(({ offset }) => offset)).toEqual(['2']);
  });

  it('is left for the next fetch if the answer cuts it off', async () => {
    const whole = batchOf({ firstOffset: 0n, count: 1, codec: 1, packed: gzipSync(plainRecord('fine')) });
    const records = await decodedOf(whole, whole.subarray(0, whole.length - 3));
    expect(records).toHaveLength(1);
  });
});
