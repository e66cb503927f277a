/**
 * Computes the offset of a partition that may be committed: the end of the longest run of settled records from the first taken one.
 * A settled record is announced, superseded or dead-lettered. An open record holds back all records after it.
 */
export class OffsetLedger {
  private readonly open = new Set<bigint>();
  private readonly settledAhead = new Set<bigint>();
  private readonly order: bigint[] = [];
  private committable: bigint | null = null;
  private lastTaken = -1n;

  /** Notes a taken record. Offsets rise, with gaps where the topic was compacted; a retried record comes again. */
  take(offset: string): void {
    const value = BigInt(offset);
    if (value <= this.lastTaken) return;
    this.lastTaken = value;
    this.open.add(value);
    this.order.push(value);
  }

  /** Settles a record whose effects are durable. Settling twice, or a record that was never taken, changes nothing. */
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

  /** Notes a failed commit. The offset is due again, unless more has settled meanwhile. */
  giveBack(offset: string): void {
    this.committable ??= BigInt(offset);
  }

  get openCount(): number {
    return this.open.size;
  }
}
