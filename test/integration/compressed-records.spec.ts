/** Records that a real broker stores compressed, like a cluster with `compression.type=zstd` for all topics. */
import { createRequire } from 'node:module';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { compacted } from '#contracts/topic.js';
import { notes, noteTopic, StreamUnderTest } from '../chaos/stream-under-test.js';

interface Codec {
  compress: (encoder: { buffer: Buffer }) => Promise<Buffer>;
  decompress: (bytes: Buffer) => Promise<Buffer>;
}
const { CompressionTypes, CompressionCodecs } = createRequire(import.meta.url)('kafkajs') as {
  CompressionTypes: { ZSTD: number };
  CompressionCodecs: Record<number, () => Codec>;
};

let stream: StreamUnderTest;
afterEach(() => stream.close());

async function compressedBy(codec: string): Promise<void> {
  stream = new StreamUnderTest(noteTopic(compacted(1)));
  await stream.prepare();
  const configEntries = [
    { name: 'cleanup.policy', value: 'compact' },
    { name: 'compression.type', value: codec },
  ];
  await stream.withAdmin((admin) =>
    admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: stream.topicName, configEntries }] }),
  );
}

describe.each(['gzip', 'snappy', 'lz4', 'zstd'])('a topic that the broker compresses by %s', (codec) => {
  it('is read by consumers and followers', async () => {
    await compressedBy(codec);
    const text = 'the same words again and again, so that there is something to compress. '.repeat(20);
    const sent = notes(500).map((note) => ({ ...note, text }));
    await stream.publisher.publish(stream.topic, ...sent);
    const consumer = await stream.consumer().start();
    await consumer.took(500);
    expect(consumer.taken.map(({ fact }) => fact)).toEqual(sent);
    const read = await stream.readAll(stream.topic);
    expect(read.map(({ fact }) => fact)).toEqual(sent);
    expect(await stream.readDeadLetters()).toEqual([]);
  });
});

describe('a value that becomes huge when it is decompressed', () => {
  it('becomes one dead letter, and the records after it are read', async () => {
    await compressedBy('zstd');
    const ours = CompressionCodecs[CompressionTypes.ZSTD] as () => Codec;
    CompressionCodecs[CompressionTypes.ZSTD] = () => ({ ...ours(), compress: ({ buffer }) => Promise.resolve(zstdCompressSync(buffer)) });
    const producer = stream.kafka.producer();
    await producer.connect();
    const messages = [{ key: 'bomb', value: Buffer.alloc(80_000_000), partition: 0 }];
    await producer.send({ topic: stream.topicName, acks: -1, compression: CompressionTypes.ZSTD, messages });
    await producer.disconnect();
    CompressionCodecs[CompressionTypes.ZSTD] = ours;
    await stream.sendTo(0, { id: 'good', n: 1 });
    const consumer = await stream.consumer().start();
    await consumer.took(1);
    await consumer.stop();
    expect(consumer.taken.map(({ fact }) => fact?.id)).toEqual(['good']);
    expect(consumer.crashes).toEqual([]);
    const letters = await stream.readDeadLetters();
    expect(letters.map(({ code, origin }) => [code, origin.offset])).toEqual([['RECORD_INVALID', '0']]);
    expect(letters[0]?.message).toContain('offsets 0 to 0 cannot be decoded');
    expect((await stream.readAll(stream.topic)).map(({ key }) => key)).toEqual(['good']);
  });
});
