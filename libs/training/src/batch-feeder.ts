/**
 * Batches ahead of the steps: drawn and read while an earlier one is being learnt, so that no step waits for a disk. What
 * was drawn ahead and not yet given out does not count as drawn: `state` is the place after the batch given out last.
 */
import type { Stream } from '#contracts/labels.js';
import type { Sampler, SamplerState, TileRef } from './sampler.js';
import type { TileStore } from './tile-store.js';

/** Two are enough: one is ready when a step ends, and the reader has a whole step for the next. */
const BATCHES_AHEAD = 2;

interface FedBatch {
  refs: TileRef[];
  /** [count, rows, frames], row-major. */
  tiles: Promise<Uint8Array>;
  /** Of the sampler, after this batch. */
  state: SamplerState;
}

export class BatchFeeder {
  private readonly ahead: FedBatch[] = [];
  private given: SamplerState;
  /** Since it was begun, how long `next` had to wait for its tiles. */
  waitedMs = 0;

  constructor(
    private readonly sampler: Sampler,
    private readonly tileStore: Pick<TileStore, 'read'>,
    private readonly wanted: Record<Stream, number>,
  ) {
    this.given = sampler.state;
  }

  get state(): SamplerState {
    return this.given;
  }

  async next(): Promise<{ refs: TileRef[]; tiles: Uint8Array }> {
    while (this.ahead.length <= BATCHES_AHEAD) this.ahead.push(this.draw());
    const { refs, tiles, state } = this.ahead.shift()!;
    const askedAt = performance.now();
    const read = await tiles;
    this.waitedMs += performance.now() - askedAt;
    this.given = state;
    return { refs, tiles: read };
  }

  private draw(): FedBatch {
    const refs = this.sampler.nextBatch(this.wanted);
    const tiles = this.tileStore.read(refs);
    tiles.catch(() => undefined); // a batch that is never asked for must not end the process
    return { refs, tiles, state: this.sampler.state };
  }
}
