import { describe, expect, it } from 'vitest';
import { AudioMemory } from './audio-memory.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Work that ends on command. */
function job() {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const state = { begun: false };
  const work = (): Promise<void> => {
    state.begun = true;
    return ended;
  };
  return { state, work, end: () => end() };
}

/** An open shard that is released when it is sealed. */
function openShard({ holding }: AudioMemory, sizeBytes: number) {
  const shard = { sizeBytes };
  const sealed: number[] = [];
  holding.add(shard, () => {
    sealed.push(sizeBytes);
    holding.close(shard);
    setImmediate(() => holding.release(shard));
  });
  return sealed;
}

// The budget of 800 is split: 100 to read, 100 to store, 400 to hold, 200 to decode.
describe('audio memory', () => {
  it('decodes a file beyond its share once open shards are sealed, and within the whole', async () => {
    const memory = new AudioMemory(800);
    const sealed = openShard(memory, 300);
    const large = job();
    const decoding = memory.decode(450, 50, large.work);
    expect(large.state.begun).toBe(false);
    for (let i = 0; i < 4; i++) await turn();
    expect(sealed).toEqual([300]);
    expect(large.state.begun).toBe(true);
    const next = job();
    const afterwards = memory.decode(1, 1, next.work);
    await turn();
    expect(next.state.begun).toBe(false);
    large.end();
    next.end();
    await Promise.all([decoding, afterwards]);
    expect(next.state.begun).toBe(true);
  });

  it('leaves open shards alone for a file within its share', async () => {
    const memory = new AudioMemory(800);
    const sealed = openShard(memory, 400);
    await memory.read(100, () => memory.decode(200, 100, () => Promise.resolve()));
    expect(sealed).toEqual([]);
  });

  it('refuses a file that needs more than all shares can lend, and says how much it needs', async () => {
    const memory = new AudioMemory(800e6);
    const refused = { code: 'AUDIO_TOO_LARGE', message: expect.stringMatching(/takes 702 MB .* Raise AUDIO_MEMORY_MB/) as string };
    await expect(memory.decode(601e6, 101e6, () => Promise.resolve())).rejects.toMatchObject(refused);
    await expect(memory.read(501e6, () => Promise.resolve())).rejects.toMatchObject({ code: 'AUDIO_TOO_LARGE' });
    expect(await memory.read(300e6, () => memory.decode(400e6, 300e6, () => Promise.resolve('tiles')))).toBe('tiles');
  });

  it('finishes large files of both kinds that come at once', async () => {
    const memory = new AudioMemory(800);
    const finished: string[] = [];
    const recording = (name: string, fileBytes: number, bytes: number) =>
      memory.read(fileBytes, async () => {
        await turn();
        await memory.decode(bytes, fileBytes, async () => {
          await turn();
          finished.push(name);
        });
      });
    await Promise.all([recording('a', 300, 400), recording('b', 10, 590), recording('c', 20, 420), recording('d', 300, 390)]);
    expect(finished.sort()).toEqual(['a', 'b', 'c', 'd']);
  });
});
