/**
 * Holds the records that a worker skips, because another group makes their corpus into tiles under other settings. A record stays
 * open until a map that was read after the record was taken confirms this, and the consumers follow that map.
 *
 * Delivery: an outdated map loses no record. A record published after a change of the map is either made by the worker that takes
 * it, or skipped by a map that has the change.
 */
export interface PassOverContext {
  settle: (offset: string) => void;
  /** True if the newest map that was read assigns the corpus to this worker. */
  isMine: (corpus: string) => boolean;
  /** True if another group makes the corpus by the newest map, and the consumers follow that map. */
  isElsewhere: (corpus: string) => boolean;
  /** Reads the map from the bucket; resolves after `confirm` was called. */
  readAgain: () => Promise<void>;
}

/** With more open records than this, the map is read at once instead of at the next interval. */
const mostHeld = 20_000;

export class PassedOver {
  private held: { corpus: string; offset: string }[] = [];

  constructor(private readonly context: PassOverContext) {}

  isMine(corpus: string): boolean {
    return this.context.isMine(corpus);
  }

  async add(corpus: string, offset: string): Promise<void> {
    this.held.push({ corpus, offset });
    if (this.held.length >= mostHeld) await this.context.readAgain();
  }

  /** Number of records now. Records added while the map is read are not confirmed by it. */
  get mark(): number {
    return this.held.length;
  }

  /** True if a skipped record belongs to this worker now. Only a restarted consumer takes it again. */
  get holdsOwn(): boolean {
    return this.held.some(({ corpus }) => this.context.isMine(corpus));
  }

  /** Settles the records that another group makes, among the first `count`, which were taken before the map was read. */
  confirm(mark: number): void {
    const confirmed = this.held.slice(0, mark);
    const isOpen = ({ corpus }: { corpus: string }): boolean => !this.context.isElsewhere(corpus);
    this.held = [...confirmed.filter(isOpen), ...this.held.slice(mark)];
    for (const record of confirmed) if (!isOpen(record)) this.context.settle(record.offset);
  }
}
