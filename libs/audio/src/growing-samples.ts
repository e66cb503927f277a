/**
 * Memory for samples whose number is not known beforehand, and its return.
 *
 * Does not promise that views outlive `release`.
 */

/** Large blocks are untouched, and so not resident, until they are written: growing fast costs little. */
const GROWTH = 4;

/** More samples came than memory was lent for: the file is to be decoded again with more. Never leaves the extractor's pool. */
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
   * @param most never more room than for this many, unless they come
   * @param allowed if more come than these, `NeedsMemory` is thrown
   */
  constructor(
    expected: number,
    private readonly most: number,
    private readonly allowed = Number.POSITIVE_INFINITY,
  ) {
    this.samples = new Float32Array(Math.min(expected, most));
  }

  /** Room for `count` more behind `length`, which is the caller's to raise. @throws NeedsMemory, and the samples are gone */
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

  /** @returns a view: to be exact it would be held twice, and it is given back whole */
  finish(): Float32Array {
    return this.samples.subarray(0, this.length);
  }
}

/** Gives the whole buffer behind an array back now, not when the collector comes by: the array is empty from then on. */
export function release(array: Float32Array | Uint8Array): void {
  (array.buffer as ArrayBuffer).transfer(0);
}
