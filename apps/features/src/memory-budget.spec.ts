import { describe, expect, it } from 'vitest';
import { MemoryBudget } from './memory-budget.js';

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
