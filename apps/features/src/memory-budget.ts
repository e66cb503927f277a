/**
 * A number of bytes that is lent out. First come, first served, so that a long file is not passed by short ones for ever;
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
