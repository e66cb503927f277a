/** Repeatable random numbers: a generator that starts from a hash of seed and name, so that each named stream is independent. */
import { createHash } from 'node:crypto';
import { seededRandom } from '#evaluation/seeded-random.js';

export class SeededRandom {
  /** In [0, 1). */
  readonly next: () => number;

  constructor(seed: number, name: string) {
    this.next = seededRandom(createHash('sha256').update(`${seed}/${name}`).digest().readUInt32LE(0));
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
