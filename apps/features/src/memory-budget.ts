/**
 * MemoryBudget: a number of bytes that is lent out. First come, first served, so that a long file is not passed by short ones for ever;
 * what is larger than the whole waits until it can be alone.
 *
 * Does not promise that those who borrow keep to what they asked for.
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
  /** Of its tiles, as they are now. */
  readonly sizeBytes: number;
}

/**
 * The tiles of all shards that are open, or closed and not yet written as a file, within a number of bytes. Where there are
 * more, the largest open shard is sealed early, whoever fills it, and whoever brought the tiles waits until there is room.
 *
 * Does not promise that the limit holds to the byte: tiles are counted when they have come, so that each worker may hold one
 * recording's tiles beyond it.
 */
export class TileMemory {
  private readonly open = new Map<OpenShard, () => void>();
  private readonly closed = new Set<OpenShard>();
  private waiting: (() => void)[] = [];

  constructor(private readonly totalBytes: number) {}

  get heldBytes(): number {
    return sizeOf(this.open.keys()) + sizeOf(this.closed);
  }

  /** @param seal closes the shard, which calls {@link close} */
  add(shard: OpenShard, seal: () => void): void {
    this.open.set(shard, seal);
  }

  /** It takes no more tiles. Its own stay in memory until they are a file. */
  close(shard: OpenShard): void {
    if (this.open.delete(shard)) this.closed.add(shard);
  }

  /** Its tiles are no longer in memory. */
  forget(shard: OpenShard): void {
    this.open.delete(shard);
    this.closed.delete(shard);
    for (const look of this.waiting.splice(0)) look();
  }

  /** Resolves when the tiles that are held are within the limit. */
  async untilRoom(): Promise<void> {
    while (this.heldBytes > this.totalBytes) {
      this.sealLargest();
      if (this.closed.size === 0) return; // there is nothing whose end could be waited for
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  /** As many as are needed beside those that are on their way. */
  private sealLargest(): void {
    const largestFirst = [...this.open].sort(([a], [b]) => b.sizeBytes - a.sizeBytes);
    for (const [shard, seal] of largestFirst) {
      if (sizeOf(this.open.keys()) <= this.totalBytes || shard.sizeBytes === 0) return;
      seal();
    }
  }
}

const sizeOf = (shards: Iterable<OpenShard>): number => [...shards].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
