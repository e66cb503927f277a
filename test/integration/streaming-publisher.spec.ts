/** The publisher against a real broker: acknowledged records are stored in order, and invalid records are refused. */
import { afterEach, describe, expect, it } from 'vitest';
import { hourMs, retained } from '#contracts/topic.js';
import { notes, noteTopic, StreamUnderTest, type Note } from '../chaos/stream-under-test.js';

let stream: StreamUnderTest;

async function freshStream(partitions: number): Promise<StreamUnderTest> {
  stream = new StreamUnderTest(noteTopic(retained(partitions, hourMs)));
  return stream.prepare();
}

afterEach(async () => stream.close());

describe('publish', () => {
  it('of 5,000 facts by ten callers at once delivers all, in order for each key', async () => {
    await freshStream(4);
    const callers = Array.from({ length: 10 }, (_, caller) => caller);
    const keysEach = 25;
    const ofCaller = (caller: number): Note[] => notes(500).map(({ n }) => ({ id: `c${caller}-${n % keysEach}`, n }));
    await Promise.all(
      callers.map(async (caller) => {
        const facts = ofCaller(caller);
        const pending: Promise<void>[] = [];
        for (let at = 0; at < facts.length; at += 50) pending.push(stream.publisher.publish(stream.topic, ...facts.slice(at, at + 50)));
        await Promise.all(pending);
      }),
    );
    const found = await stream.readAll(stream.topic);
    expect(found).toHaveLength(5_000);
    expect(new Set(found.map(({ record }) => record.partition)).size).toBe(4);
    const byKey = Map.groupBy(found, ({ key }) => key);
    for (const caller of callers) {
      for (const [key, wanted] of Map.groupBy(ofCaller(caller), ({ id }) => id))
        expect(byKey.get(key)?.map(({ fact }) => fact)).toEqual(wanted);
    }
  });

  it('refuses an invalid fact before it sends any fact of the same call', async () => {
    await freshStream(1);
    const misfit = { id: 'b', n: 1.5 };
    await expect(stream.publisher.publish(stream.topic, { id: 'a', n: 1 }, misfit)).rejects.toThrow(/expected int/);
    await stream.publisher.publish(stream.topic, { id: 'c', n: 3 });
    expect((await stream.readAll(stream.topic)).map(({ key }) => key)).toEqual(['c']);
  });

  it('splits more than a broker takes at once into several requests', async () => {
    await freshStream(1);
    await setTopicConfig({ 'max.message.bytes': '1048588' });
    const text = 'x'.repeat(2_000);
    await stream.publisher.publish(stream.topic, ...notes(1_200).map((note) => ({ ...note, text })));
    expect((await stream.readAll(stream.topic)).map(({ fact }) => fact?.n)).toEqual(notes(1_200).map(({ n }) => n));
  });

  it('refuses only the fact that is too large', async () => {
    await freshStream(1);
    await setTopicConfig({ 'max.message.bytes': '1048588' });
    const [before, tooLarge, after] = await Promise.allSettled([
      stream.publisher.publish(stream.topic, ...notes(3)),
      stream.publisher.publish(stream.topic, { id: 'large', n: 0, text: 'x'.repeat(1_200_000) }),
      stream.publisher.publish(stream.topic, ...notes(3, 3)),
    ]);
    expect([before.status, tooLarge.status, after.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((await stream.readAll(stream.topic)).map(({ key }) => key)).toEqual(notes(6).map(({ id }) => id));
  });
});

/** The legacy request replaces all settings; those of a test topic are few. */
async function setTopicConfig(entries: Record<string, string>): Promise<void> {
  await stream.withAdmin((admin) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: 2, name: stream.topicName, configEntries: Object.entries(entries).map(([name, value]) => ({ name, value })) }],
    }),
  );
}
