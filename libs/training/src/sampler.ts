/**
 * Which tiles make a batch: labelled and unlabelled ones drawn apart, each stream shuffled anew for every pass over it.
 * Labelled is what carries the label that the emotion head learns; if classes are to be balanced, a pass over these takes
 * tiles of each class in turn, and begins the rare ones again until it is as long as the stream.
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

export interface SamplerOptions {
  seed: number;
  /** An utterance's class in the emotion head; -1 where it carries none. */
  classOf: (utterance: ViewUtterance) => number;
  /** Whether all classes are drawn equally often. */
  balanced?: boolean;
  /** Where to go on; the beginning if not given. */
  state?: SamplerState;
}

export class Sampler {
  private readonly tiles: Record<Stream, TileRef[]> = { labelled: [], unlabelled: [] };
  /** Of the labelled tiles, by position. */
  private readonly classes: number[] = [];
  private readonly order: Record<Stream, Uint32Array>;
  private readonly place: SamplerState;

  constructor(
    view: TrainingView,
    private readonly options: SamplerOptions,
  ) {
    this.place = structuredClone(options.state ?? freshSamplerState());
    for (const utterance of view.utterances.filter(isTrained)) {
      const emotion = options.classOf(utterance);
      for (let tile = 0; tile < utterance.tileCount; tile++) {
        this.tiles[emotion >= 0 ? 'labelled' : 'unlabelled'].push({ utterance, row: utterance.firstRow + tile });
        if (emotion >= 0) this.classes.push(emotion);
      }
    }
    this.order = { labelled: this.shuffled('labelled'), unlabelled: this.shuffled('unlabelled') };
  }

  get state(): SamplerState {
    return structuredClone(this.place);
  }

  sizeOf(stream: Stream): number {
    return this.tiles[stream].length;
  }

  /** Labelled tiles of each class. */
  tilesOfClass(classCount: number): number[] {
    const counts = new Array<number>(classCount).fill(0);
    for (const emotion of this.classes) counts[emotion]! += 1;
    return counts;
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
    const random = passRandom(this.options.seed, streams.indexOf(stream), this.place[stream].pass);
    for (let last = order.length - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1));
      [order[last], order[other]] = [order[other] as number, order[last] as number];
    }
    return this.options.balanced && stream === 'labelled' ? this.inTurn(order) : order;
  }

  /** Tiles of each class in turn, in this order within a class; as many as there are. */
  private inTurn(order: Uint32Array): Uint32Array {
    const byClass = [...Map.groupBy(order, (index) => this.classes[index]).entries()]
      .sort(([a = 0], [b = 0]) => a - b)
      .map(([, tiles]) => tiles);
    return order.map((_, place) => {
      const tiles = byClass[place % byClass.length]!;
      return tiles[Math.floor(place / byClass.length) % tiles.length]!;
    });
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
