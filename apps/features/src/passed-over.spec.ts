import { describe, expect, it } from 'vitest';
import { PassedOver } from './passed-over.js';

function passedOver(mine: Set<string>) {
  const settled: string[] = [];
  let readings = 0;
  const held: PassedOver = new PassedOver({
    settle: (offset) => settled.push(offset),
    isMine: (corpus) => mine.has(corpus),
    isElsewhere: (corpus) => !mine.has(corpus),
    readAgain: () => {
      readings++;
      held.confirm(held.mark);
      return Promise.resolve();
    },
  });
  return { held, settled, readings: () => readings };
}

describe('skipped records', () => {
  it('are settled only by a map that was read after they were taken', async () => {
    const { held, settled } = passedOver(new Set());
    await held.add('c', '1');
    const { mark } = held;
    await held.add('c', '2'); // taken while the map is read
    held.confirm(mark);
    expect(settled).toEqual(['1']);
    held.confirm(held.mark);
    expect(settled).toEqual(['1', '2']);
  });

  it('stay open while their corpus is this worker’s, until it is another’s again', async () => {
    const mine = new Set<string>();
    const { held, settled } = passedOver(mine);
    await held.add('c', '1');
    await held.add('d', '2');
    mine.add('c');
    held.confirm(held.mark);
    expect([settled, held.holdsOwn]).toEqual([['2'], true]);
    mine.delete('c');
    held.confirm(held.mark);
    expect([settled, held.holdsOwn]).toEqual([['2', '1'], false]);
  });

  it('have the map read at once when there are many', async () => {
    const { held, settled, readings } = passedOver(new Set());
    for (let offset = 0; offset < 20_001; offset++) await held.add('c', String(offset));
    expect(readings()).toBe(1);
    expect(settled).toHaveLength(20_000);
    expect(held.mark).toBe(1);
  });
});
