/**
 * Memory for samples whose number is unknown beforehand, and a way to release it.
 *
 * Views do not survive `release`.
 */

/** Large blocks become resident only when they are written, so growing fast costs little. */
const GROWTH = 4;

/** More samples came than the memory allows. The file is decoded again with more. Never leaves the extractor's pool. */
export class NeedsMemory extends Error {
  constructor() {
    super('more samples than memory was lent for');
    this.name = 'NeedsMemory';
  }
}

export class GrowingSamples {
  length = 0;
  samples: Float32Array;

  /**
   * @param most most samples to reserve memory for before they come
   * @param allowed more samples than these throw `NeedsMemory`
   */
  constructor(
    expected: number,
    private readonly most: number,
    private readonly allowed = Number.POSITIVE_INFINITY,
  ) {
    this.samples = new Float32Array(Math.min(expected, most));
  }

  /** Makes room for `count` more samples after `length`. The caller raises `length`. @throws NeedsMemory, and drops the samples */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed > this.allowed) {
      release(this.samples);
      throw new NeedsMemory();
    }
    if (needed <= this.samples.length) return;
    const smaller = this.samples;
    this.samples = new Float32Array(Math.max(needed, Math.min(this.most, GROWTH * smaller.length)));
    this.samples.set(smaller.subarray(0, this.length));
    release(smaller);
  }

  /** @returns a view: an exact copy would take twice the memory, and `release` frees the whole buffer */
  finish(): Float32Array {
    return this.samples.subarray(0, this.length);
  }
}

/** Frees the whole buffer behind an array at once, without waiting for garbage collection. The array is empty afterwards. */
export function release(array: Float32Array | Uint8Array): void {
  (array.buffer as ArrayBuffer).transfer(0);
}
