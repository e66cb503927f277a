/**
 * Records that a worker passes over, since their corpus is made into tiles under other settings. Whether it still is when
 * the record was taken is known only from a map that was read after that, and whether another group makes it only once the
 * consumers follow that map: until then the record is held open.
 *
 * Delivery: what another instance passes over by an older map is not lost for it. A record that is published after a
 * change of the map is either made by whoever takes it, or passed over by a map that has the change.
 */
export interface PassOverContext {
  settle: (offset: string) => void;
  /** Of the newest map that was read. */
  isMine: (corpus: string) => boolean;
  /** Another group makes the corpus: the newest map says so, and the consumers follow it. */
  isElsewhere: (corpus: string) => boolean;
  /** Resolves when the map was read from the bucket, and `confirm` was called. */
  readAgain: () => Promise<void>;
}

/** Held open at once; more, and the map is read at once rather than when it is due. */
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

  /** How many there are now: what is added while the map is read is not confirmed by it. */
  get mark(): number {
    return this.held.length;
  }

  /** A record that was passed over is this worker's now. Only a consumer that begins again takes it. */
  get holdsOwn(): boolean {
    return this.held.some(({ corpus }) => this.context.isMine(corpus));
  }

  /** Settles what another group makes, of the first so many, which were taken before the map was read. */
  confirm(mark: number): void {
    const confirmed = this.held.slice(0, mark);
    const isOpen = ({ corpus }: { corpus: string }): boolean => !this.context.isElsewhere(corpus);
    this.held = [...confirmed.filter(isOpen), ...this.held.slice(mark)];
    for (const record of confirmed) if (!isOpen(record)) this.context.settle(record.offset);
  }
}
