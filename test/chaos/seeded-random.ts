/** Repeatable random numbers: mulberry32 on a hash of seed and name, so that each named stream is independent. */
import { createHash } from 'node:crypto';

export class SeededRandom {
  private state: number;

  constructor(seed: number, name: string) {
    this.state = createHash('sha256').update(`${seed}/${name}`).digest().readUInt32LE(0);
  }

  /** In [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<Choice>(choices: readonly Choice[]): Choice {
    return choices[this.below(choices.length)] as Choice;
  }

  /** Picks an element by weight. */
  choose<Choice extends string>(weights: Record<Choice, number>): Choice {
    const entries = Object.entries(weights) as [Choice, number][];
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [choice, weight] of entries) if ((left -= weight) < 0) return choice;
    return (entries.at(-1) as [Choice, number])[0];
  }

  shuffled<Choice>(choices: readonly Choice[]): Choice[] {
    const left = [...choices];
    return choices.map(() => left.splice(this.below(left.length), 1)[0] as Choice);
  }
}
