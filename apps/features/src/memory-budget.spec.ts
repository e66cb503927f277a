import { describe, expect, it } from 'vitest';
import { MemoryBudget, TileMemory } from './memory-budget.js';

/** Work that ends when it is told to, and what has begun so far. */
function jobs(budget: MemoryBudget) {
  const begun: string[] = [];
  const end = new Map<string, () => void>();
  const start = (name: string, bytes: number) =>
    budget.use(bytes, () => {
      begun.push(name);
      return new Promise<void>((resolve) => end.set(name, resolve));
    });
  const settle = async (name: string) => {
    end.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { begun, start, settle };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a memory budget', () => {
  it('lets in what fits, and the rest as room is given back', async () => {
    const { begun, start, settle } = jobs(new MemoryBudget(100));
    const all = [start('a', 60), start('b', 40), start('c', 50)];
    await turn();
    expect(begun).toEqual(['a', 'b']);
    await settle('b');
    expect(begun).toEqual(['a', 'b']);
    await settle('a');
    expect(begun).toEqual(['a', 'b', 'c']);
    await settle('c');
    await Promise.all(all);
  });

  it('does not let a small one pass a large one that waits', async () => {
    const { begun, start, settle } = jobs(new MemoryBudget(100));
    const all = [start('a', 60), start('large', 90), start('small', 10)];
    await turn();
    expect(begun).toEqual(['a']);
    await settle('a');
    expect(begun).toEqual(['a', 'large', 'small']);
    await settle('large');
    await settle('small');
    await Promise.all(all);
  });

  it('lets in what is larger than the whole, alone', async () => {
    const { begun, start, settle } = jobs(new MemoryBudget(100));
    const all = [start('a', 1), start('huge', 1000), start('b', 1)];
    await turn();
    expect(begun).toEqual(['a']);
    await settle('a');
    expect(begun).toEqual(['a', 'huge']);
    await settle('huge');
    expect(begun).toEqual(['a', 'huge', 'b']);
    await settle('b');
    await Promise.all(all);
  });

  it('takes back the room of work that failed', async () => {
    const budget = new MemoryBudget(100);
    await expect(budget.use(100, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await budget.use(100, () => Promise.resolve(7))).toBe(7);
  });
});

describe('the memory for tiles of open shards', () => {
  /** An open shard; sealed, it is closed and stays in memory until it is forgotten. */
  function openShard(memory: TileMemory, sizeBytes: number, sealed: number[]) {
    const shard = { sizeBytes };
    memory.add(shard, () => {
      sealed.push(shard.sizeBytes);
      memory.close(shard);
    });
    return shard;
  }

  it('seals no more than it must, the largest first, and waits until they are gone', async () => {
    const memory = new TileMemory(100);
    const sealed: number[] = [];
    const [small, large] = [openShard(memory, 40, sealed), openShard(memory, 60, sealed)];
    await memory.untilRoom();
    expect(sealed).toEqual([]);
    small.sizeBytes = 50;
    let hasRoom = false;
    const waiting = memory.untilRoom().then(() => (hasRoom = true));
    await turn();
    expect([sealed, hasRoom, memory.heldBytes]).toEqual([[60], false, 110]);
    memory.forget(large);
    await waiting;
    expect(memory.heldBytes).toBe(50);
  });

  it('does not count on what a worker held that lost its partition', async () => {
    const memory = new TileMemory(100);
    const sealed: number[] = [];
    const [lost] = [openShard(memory, 90, sealed), openShard(memory, 20, sealed)];
    memory.forget(lost);
    await memory.untilRoom();
    expect(sealed).toEqual([]);
  });

  it('takes a recording alone that has more tiles than the limit', async () => {
    const memory = new TileMemory(100);
    const sealed: number[] = [];
    const huge = openShard(memory, 500, sealed);
    const waiting = memory.untilRoom();
    await turn();
    expect(sealed).toEqual([500]);
    memory.forget(huge);
    await waiting;
    expect(memory.heldBytes).toBe(0);
  });
});
