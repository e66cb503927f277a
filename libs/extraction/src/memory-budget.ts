/**
 * MemoryBudget lends out a number of bytes, first come, first served, so that short files do not overtake a long one for ever. A
 * request larger than the whole budget waits until it can run alone.
 *
 * It does not promise that borrowers stay within their request.
 */
export class MemoryBudget {
  private lent = 0;
  private readonly waiting: { bytes: number; begin: () => void }[] = [];

  constructor(private readonly totalBytes: number) {}

  get waitingCount(): number {
    return this.waiting.length;
  }

  async use<Result>(bytes: number, work: () => Promise<Result>): Promise<Result> {
    await new Promise<void>((begin) => {
      this.waiting.push({ bytes, begin });
      this.admit();
    });
    try {
      return await work();
    } finally {
      this.lent -= bytes;
      this.admit();
    }
  }

  private admit(): void {
    for (let next = this.waiting[0]; next && (this.lent === 0 || this.lent + next.bytes <= this.totalBytes); next = this.waiting[0]) {
      this.lent += next.bytes;
      this.waiting.shift();
      next.begin();
    }
  }
}

interface OpenShard {
  /** Bytes of its present tiles. */
  readonly sizeBytes: number;
}

/**
 * Limits the bytes of tiles in all shards that are open, or closed and not yet a file. Beyond the limit it seals the largest open
 * shard early, whichever worker fills it. The worker that brought the tiles waits until there is room.
 *
 * It does not promise the limit to the byte: tiles are counted when they have come, so each worker may hold the tiles of one
 * recording beyond it.
 */
export class TileMemory {
  private readonly open = new Map<OpenShard, () => void>();
  private readonly closed = new Set<OpenShard>();
  private waiting: (() => void)[] = [];
  private lent = 0;

  constructor(private readonly totalBytes: number) {}

  get heldBytes(): number {
    return sizeOf(this.open.keys()) + sizeOf(this.closed);
  }

  /** @param seal closes the shard, which calls {@link close} */
  add(shard: OpenShard, seal: () => void): void {
    this.open.set(shard, seal);
  }

  /** Marks a shard as closed: it takes no more tiles. Its tiles stay in memory until they are a file. */
  close(shard: OpenShard): void {
    if (this.open.delete(shard)) this.closed.add(shard);
  }

  /** Stops counting a shard whose tiles are no longer in memory. */
  release(shard: OpenShard): void {
    this.open.delete(shard);
    this.closed.delete(shard);
    this.wake();
  }

  /** Resolves when the held tiles are within the limit. */
  async untilRoom(): Promise<void> {
    while (this.heldBytes > this.limitBytes) {
      this.sealLargest();
      if (this.closed.size === 0) return; // no closed shard will give memory back
      await this.untilReleased();
    }
  }

  /**
   * Lends memory to other work: seals shards until it is free, and lowers the limit until the work is done. Requests do not wait in
   * line: a file that holds a loan may need another, and must not wait behind a file that waits for the first.
   * @param bytes at most the whole limit
   */
  async lend<Result>(bytes: number, work: () => Promise<Result>): Promise<Result> {
    if (bytes === 0) return work();
    while (bytes > this.limitBytes) await this.untilReleased();
    this.lent += bytes;
    try {
      await this.untilRoom();
      return await work();
    } finally {
      this.lent -= bytes;
      this.wake();
    }
  }

  private get limitBytes(): number {
    return this.totalBytes - this.lent;
  }

  private untilReleased(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private wake(): void {
    for (const look of this.waiting.splice(0)) look();
  }

  /** Seals as many shards as needed, beside the closed ones. */
  private sealLargest(): void {
    const largestFirst = [...this.open].sort(([a], [b]) => b.sizeBytes - a.sizeBytes);
    for (const [shard, seal] of largestFirst) {
      if (sizeOf(this.open.keys()) <= this.limitBytes || shard.sizeBytes === 0) return;
      seal();
    }
  }
}

const sizeOf = (shards: Iterable<OpenShard>): number => [...shards].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
