/**
 * Which offset of a partition may be committed: the end of the longest run of records, from the first one taken, that
 * are all settled (announced, superseded or dead-lettered). A record that is still open holds back all after it.
 */
export class OffsetLedger {
  private readonly open = new Set<bigint>();
  private readonly settledAhead = new Set<bigint>();
  private readonly order: bigint[] = [];
  private committable: bigint | null = null;
  private lastTaken = -1n;

  /** A record was taken. Offsets come in rising order, with gaps where the topic was compacted; one tried again comes again. */
  take(offset: string): void {
    const value = BigInt(offset);
    if (value <= this.lastTaken) return;
    this.lastTaken = value;
    this.open.add(value);
    this.order.push(value);
  }

  /** Its effects are durable. Settling twice, or what was never taken, changes nothing. */
  settle(offset: string): void {
    const value = BigInt(offset);
    if (!this.open.delete(value)) return;
    this.settledAhead.add(value);
    while (this.order.length > 0 && this.settledAhead.has(this.order[0] as bigint)) {
      const first = this.order.shift() as bigint;
      this.settledAhead.delete(first);
      this.committable = first + 1n;
    }
  }

  /** @returns the offset to commit (one past the last settled record of the run), once for each advance */
  takeCommittable(): string | null {
    const offset = this.committable;
    this.committable = null;
    return offset === null ? null : offset.toString();
  }

  /** The commit of what was taken failed: it is due again, unless more has settled meanwhile. */
  giveBack(offset: string): void {
    this.committable ??= BigInt(offset);
  }

  get openCount(): number {
    return this.open.size;
  }
}
