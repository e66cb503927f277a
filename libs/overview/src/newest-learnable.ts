/**
 * Finds the newest trainable utterance without a scan, by a binary heap over the time of ingest. An utterance that changed or
 * was deleted stays in the heap until it reaches the top, or until stale entries are the majority.
 */
import type { TrackedUtterance } from './tracked-utterance.js';

interface Entry {
  at: string;
  utterance: TrackedUtterance;
}

const isStale = ({ at, utterance }: Entry): boolean => utterance.learnableSince !== at;
const fewest = 1_024;

export class NewestLearnable {
  private heap: Entry[] = [];
  /** Size of the heap after its stale entries were last removed. */
  private cleanSize = fewest;

  /** Call this after each change of the utterance's record. */
  add(utterance: TrackedUtterance): void {
    const at = utterance.learnableSince;
    if (at === null) return;
    if (this.heap.length >= 2 * this.cleanSize) this.removeStale();
    this.heap.push({ at, utterance });
    this.rise(this.heap.length - 1);
  }

  /** The time of ingest of the newest trainable utterance; null if there is none. */
  get at(): string | null {
    for (let top = this.heap[0]; top; top = this.heap[0]) {
      if (!isStale(top)) return top.at;
      this.removeTop();
    }
    return null;
  }

  private removeStale(): void {
    const seen = new Set<TrackedUtterance>();
    const isFirst = ({ utterance }: Entry): boolean => !seen.has(utterance) && seen.add(utterance) === seen;
    // A list sorted from high to low is a valid heap.
    this.heap = this.heap.filter((entry) => !isStale(entry) && isFirst(entry)).sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));
    this.cleanSize = Math.max(fewest, this.heap.length);
  }

  private removeTop(): void {
    const last = this.heap.pop();
    if (!last || this.heap.length === 0) return;
    this.heap[0] = last;
    this.sink(0);
  }

  private rise(start: number): void {
    for (let at = start; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.isAbove(at, parent)) return;
      this.swap(at, parent);
      at = parent;
    }
  }

  private sink(start: number): void {
    for (let at = start; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let highest = at;
      if (left < this.heap.length && this.isAbove(left, highest)) highest = left;
      if (right < this.heap.length && this.isAbove(right, highest)) highest = right;
      if (highest === at) return;
      this.swap(at, highest);
      at = highest;
    }
  }

  private isAbove(one: number, other: number): boolean {
    return (this.heap[one] as Entry).at > (this.heap[other] as Entry).at;
  }

  private swap(one: number, other: number): void {
    [this.heap[one], this.heap[other]] = [this.heap[other] as Entry, this.heap[one] as Entry];
  }
}
