import { describe, expect, it } from 'vitest';
import { MemoryBudget, TileMemory } from './memory-budget.js';

/** Work that ends on command, and a list of the work that has begun. */
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
  it('admits work that fits, and the rest as memory is given back', async () => {
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

  it('does not let small work overtake large work that waits', async () => {
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

  it('admits work larger than the whole budget alone', async () => {
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

  it('takes back the memory of failed work', async () => {
    const budget = new MemoryBudget(100);
    await expect(budget.use(100, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await budget.use(100, () => Promise.resolve(7))).toBe(7);
  });
});

describe('the tile memory of open shards', () => {
  /** An open shard. Sealing closes it; its tiles count until they are released. */
  function openShard(memory: TileMemory, sizeBytes: number, sealed: number[]) {
    const shard = { sizeBytes };
    memory.add(shard, () => {
      sealed.push(shard.sizeBytes);
      memory.close(shard);
    });
    return shard;
  }

  it('seals as few shards as it must, the largest first, and waits until they are released', async () => {
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
    memory.release(large);
    await waiting;
    expect(memory.heldBytes).toBe(50);
  });

  it('does not wait for the shards of a worker that lost its partition', async () => {
    const memory = new TileMemory(100);
    const sealed: number[] = [];
    const [lost] = [openShard(memory, 90, sealed), openShard(memory, 20, sealed)];
    memory.release(lost);
    await memory.untilRoom();
    expect(sealed).toEqual([]);
  });

  it('admits a recording with more tiles than the limit alone', async () => {
    const memory = new TileMemory(100);
    const sealed: number[] = [];
    const huge = openShard(memory, 500, sealed);
    const waiting = memory.untilRoom();
    await turn();
    expect(sealed).toEqual([500]);
    memory.release(huge);
    await waiting;
    expect(memory.heldBytes).toBe(0);
  });
});
