/**
 * Draws and reads batches ahead of the steps, while an earlier batch trains, so that no step waits for a disk. A batch that
 * was drawn ahead and not yet handed out does not count as drawn: `state` is the position after the last batch handed out.
 * After an erasure, no batch contains an erased utterance, even if it was drawn before.
 */
import type { Stream } from '#contracts/labels.js';
import type { Sampler, SamplerState } from './sampler.js';
import type { TileRef } from './tile-pool.js';
import type { TileStore } from './tile-store.js';

/** Two are enough: one is ready when a step ends, and the reader has a whole step to read the next. */
const BATCHES_AHEAD = 2;

interface FedBatch {
  refs: TileRef[];
  /** [count, rows, frames], row-major. */
  tiles: Promise<Uint8Array>;
  /** State of the sampler after this batch. */
  state: SamplerState;
}

export class BatchFeeder {
  private ahead: FedBatch[] = [];
  private given: SamplerState;
  /** Total time in ms that `next` has waited for tiles. */
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

  /** @returns no tiles only if none are left to draw */
  async next(): Promise<{ refs: TileRef[]; tiles: Uint8Array }> {
    for (;;) {
      while (this.ahead.length <= BATCHES_AHEAD) this.ahead.push(this.draw());
      const batch = this.ahead[0]!;
      const askedAt = performance.now();
      const read = await batch.tiles;
      this.waitedMs += performance.now() - askedAt;
      if (this.ahead[0] !== batch) continue; // an erasure dropped it while it was read
      this.ahead.shift();
      this.given = batch.state;
      return { refs: batch.refs, tiles: read };
    }
  }

  /** Erases utterances: no later batch contains them. */
  erase(utteranceIds: Iterable<string>): void {
    this.sampler.erase(utteranceIds);
    const isWhole = this.ahead.every(({ refs }) => refs.every(({ utterance }) => this.sampler.isAlive(utterance)));
    if (isWhole) return;
    this.ahead = [];
    this.sampler.goTo(this.given);
  }

  /** Drops the tiles that were read ahead. */
  dispose(): void {
    this.ahead = [];
  }

  private draw(): FedBatch {
    const refs = this.sampler.nextBatch(this.wanted);
    const tiles = this.tileStore.read(refs);
    tiles.catch(() => undefined); // the failure of a batch that nobody asks for must not end the process
    return { refs, tiles, state: this.sampler.state };
  }
}
