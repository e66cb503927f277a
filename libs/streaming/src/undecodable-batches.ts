/**
 * Replaces a batch that cannot be decoded by one record with the reason. Otherwise the Kafka client (kafkajs 2.2.4, the last version)
 * would throw the error out of its fetch and end the consumer, again after each restart.
 *
 * The replacing record has the offset of the batch's last record, so that the reader continues behind the batch. Its value is the
 * packed bytes, and a header gives the reason. The client has no public hook for this, so its decoder is replaced for the whole
 * process, before its first use.
 */
import { createRequire } from 'node:module';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { RecordHeaders } from './trace-headers.js';

const require = createRequire(import.meta.url);
const decoderPath = require.resolve('kafkajs/src/protocol/recordBatch/v0/decoder');
const userPath = require.resolve('kafkajs/src/protocol/requests/fetch/v4/decodeMessages');
const reasonHeader = 'undertone-undecodable';

/** The used members of the client's byte reader. */
interface Decoder {
  buffer: Buffer;
  offset: number;
}
type DecodeBatch = (decoder: Decoder) => Promise<{ records: unknown[] }>;

/** Offsets of the fields of a batch, in bytes from its beginning. */
const place = { length: 8, lastOffsetDelta: 23, firstTimestamp: 27, records: 61 };

/** Replaces the decoder. Call it once, before the client fetches anything. */
export function containUndecodableBatches(): void {
  const original = require(decoderPath) as DecodeBatch & { contains?: true };
  if (original.contains) return;
  if (require.cache[userPath]) throw new Error('The Kafka client has loaded its decoder already: import kafka-client.ts first');
  const decode: DecodeBatch & { contains?: true } = async (decoder) => {
    const beginning = decoder.offset;
    try {
      return await original(decoder);
    } catch (error) {
      if ((error as Error).name === 'KafkaJSPartialMessageError') throw error;
      const length = decoder.buffer.readInt32BE(beginning + place.length);
      decoder.offset = beginning + place.length + 4 + length;
      return { records: [standIn(decoder.buffer.subarray(beginning, decoder.offset), error)] };
    }
  };
  decode.contains = true;
  (require.cache[decoderPath] as NodeJS.Module).exports = decode;
}

function standIn(batch: Buffer, error: unknown): unknown {
  const firstOffset = batch.readBigInt64BE(0);
  const lastOffset = firstOffset + BigInt(batch.readInt32BE(place.lastOffsetDelta));
  const reason = error instanceof Error ? error.message : String(error);
  return {
    magicByte: 2,
    attributes: 0,
    timestamp: batch.readBigInt64BE(place.firstTimestamp).toString(),
    offset: lastOffset.toString(),
    key: null,
    value: batch.subarray(place.records),
    headers: { [reasonHeader]: Buffer.from(`The records at offsets ${firstOffset} to ${lastOffset} cannot be decoded: ${reason}`) },
    isControlRecord: false,
    batchContext: { producerId: '-1', inTransaction: false, isControlBatch: false },
  };
}

/** @throws PipelineError RECORD_INVALID for a record that replaces a batch */
export function refuseUndecodable(headers: RecordHeaders | undefined): void {
  const reason = headers?.[reasonHeader];
  if (reason !== undefined) throw new PipelineError('RECORD_INVALID', String(reason));
}
