/** Records that a real broker keeps compressed, as a cluster with `compression.type=zstd` does for all of its topics. */
import { afterEach, describe, expect, it } from 'vitest';
import { compacted } from '#contracts/topic.js';
import { notes, noteTopic, StreamUnderTest } from '../chaos/stream-under-test.js';

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

describe('a value that grows beyond all measure when it is unpacked', () => {
  it('is one dead letter, and what comes after it is read', async () => {
    await compressedBy('zstd');
    const { zstdCompressSync } = await import('node:zlib');
    const { CompressionTypes, CompressionCodecs } = (await import('kafkajs')).default;
    const ours = CompressionCodecs[CompressionTypes.ZSTD];
    CompressionCodecs[CompressionTypes.ZSTD] = () => ({
      compress: (encoder: { buffer: Buffer }) => Promise.resolve(zstdCompressSync(encoder.buffer)),
      decompress: (bytes: Buffer) => ours?.().decompress(bytes) ?? Promise.resolve(bytes),
    });
    const producer = stream.kafka.producer();
    await producer.connect();
    const messages = [{ key: 'bomb', value: Buffer.alloc(80_000_000), partition: 0 }];
    await producer.send({ topic: stream.topicName, acks: -1, compression: CompressionTypes.ZSTD, messages });
    await producer.disconnect();
    CompressionCodecs[CompressionTypes.ZSTD] = ours as (typeof CompressionCodecs)[CompressionTypes.ZSTD];
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
