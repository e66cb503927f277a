/**
 * Which tiles make a batch: labelled and unlabelled ones drawn apart, each stream shuffled anew for every pass over it.
 * A pass's order depends on the seed and the pass alone, so that a place in it is two numbers, and a resumed run draws
 * exactly what the run would have drawn that never stopped.
 */
import { isTrained, type TrainingView, type ViewUtterance } from './training-index.js';
import { streams, type Stream } from '#contracts/labels.js';

export interface TileRef {
  utterance: ViewUtterance;
  /** Of the tile in its shard. */
  row: number;
}

export interface StreamPlace {
  pass: number;
  position: number;
}
export type SamplerState = Record<Stream, StreamPlace>;

export const freshSamplerState = (): SamplerState => ({ labelled: { pass: 0, position: 0 }, unlabelled: { pass: 0, position: 0 } });

export class Sampler {
  private readonly tiles: Record<Stream, TileRef[]> = { labelled: [], unlabelled: [] };
  private readonly order: Record<Stream, Uint32Array>;
  private readonly place: SamplerState;

  constructor(
    view: TrainingView,
    private readonly seed: number,
    state: SamplerState = freshSamplerState(),
  ) {
    this.place = structuredClone(state);
    for (const utterance of view.utterances.filter(isTrained)) {
      for (let tile = 0; tile < utterance.tileCount; tile++)
        this.tiles[utterance.stream].push({ utterance, row: utterance.firstRow + tile });
    }
    this.order = { labelled: this.shuffled('labelled'), unlabelled: this.shuffled('unlabelled') };
  }

  get state(): SamplerState {
    return structuredClone(this.place);
  }

  sizeOf(stream: Stream): number {
    return this.tiles[stream].length;
  }

  /**
   * @param wanted tiles of each stream; where a stream has none, the other fills the batch
   * @returns no tiles only if there are none at all
   */
  nextBatch(wanted: Record<Stream, number>): TileRef[] {
    const total = wanted.labelled + wanted.unlabelled;
    const has = (stream: Stream): boolean => this.tiles[stream].length > 0;
    if (has('labelled') && has('unlabelled')) return streams.flatMap((stream) => this.draw(stream, wanted[stream]));
    return streams.flatMap((stream) => (has(stream) ? this.draw(stream, total) : []));
  }

  /** Some tiles for statistics, the same for the same view: spread over both streams, without moving the sampler. */
  spread(count: number): TileRef[] {
    const all = [...this.tiles.labelled, ...this.tiles.unlabelled];
    const stride = Math.max(1, all.length / count);
    return Array.from({ length: Math.min(count, all.length) }, (_, index) => all[Math.floor(index * stride)] as TileRef);
  }

  private draw(stream: Stream, count: number): TileRef[] {
    const drawn: TileRef[] = [];
    while (drawn.length < count) {
      const place = this.place[stream];
      if (place.position >= this.tiles[stream].length) {
        place.pass++;
        place.position = 0;
        this.order[stream] = this.shuffled(stream);
      }
      drawn.push(this.tiles[stream][this.order[stream][place.position++] as number] as TileRef);
    }
    return drawn;
  }

  /** Fisher and Yates, by a generator of its own for each pass. */
  private shuffled(stream: Stream): Uint32Array {
    const order = Uint32Array.from(this.tiles[stream], (_, index) => index);
    const random = passRandom(this.seed, streams.indexOf(stream), this.place[stream].pass);
    for (let last = order.length - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1));
      [order[last], order[other]] = [order[other] as number, order[last] as number];
    }
    return order;
  }
}

/** splitmix32 from a mixed seed: enough for shuffling, and the same everywhere. */
function passRandom(...seeds: number[]): () => number {
  let state = seeds.reduce((mixed, seed) => Math.imul(mixed ^ (seed + 0x9e3779b9), 0x85ebca6b) ^ (mixed >>> 13), 0x243f6a88) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
