/**
 * Which tiles make a batch: labelled and unlabelled ones drawn apart, and in each stream those that are fresh in this
 * round apart from those that earlier rounds have learnt, so that what is new gets its share and what is old is not
 * forgotten. Labelled is what carries the label that the emotion head learns.
 *
 * A place in the sampler is a few numbers, and a resumed run draws exactly what the run would have drawn that never
 * stopped. What is erased on the way is not drawn any more; from then on another run would draw otherwise.
 */
import { isTrained, type TrainingView, type ViewUtterance } from '#index/training-index.js';
import { streams, type Stream } from '#contracts/labels.js';
import { type PoolPlace, TilePool, type TileRef } from './tile-pool.js';

const ages = ['fresh', 'replayed'] as const;
type Age = (typeof ages)[number];

export interface StreamPlace extends Record<Age, PoolPlace> {
  /** Tiles of the stream that were drawn in the round. */
  drawn: number;
}
export type SamplerState = Record<Stream, StreamPlace>;

const freshPlace = (): StreamPlace => ({ fresh: { pass: 0, position: 0 }, replayed: { pass: 0, position: 0 }, drawn: 0 });
export const freshSamplerState = (): SamplerState => ({ labelled: freshPlace(), unlabelled: freshPlace() });

/** Where another round begins: what it draws is shuffled anew. */
export function nextRoundState({ labelled, unlabelled }: SamplerState): SamplerState {
  const next = ({ pass }: PoolPlace): PoolPlace => ({ pass: pass + 1, position: 0 });
  const begun = (place: StreamPlace): StreamPlace => ({ fresh: next(place.fresh), replayed: next(place.replayed), drawn: 0 });
  return { labelled: begun(labelled), unlabelled: begun(unlabelled) };
}

export interface SamplerOptions {
  seed: number;
  /** An utterance's class in the emotion head; -1 where it carries none. */
  classOf: (utterance: ViewUtterance) => number;
  /** Whether all classes are drawn equally often. */
  balanced?: boolean;
  /** Whether an utterance is new in this round; all are if not given. */
  isFresh?: (utterance: ViewUtterance) => boolean;
  /** Of each stream's tiles, the share that earlier rounds have learnt already; see `freshShare`. */
  replayShare?: number;
  /** Where to go on; the beginning if not given. */
  state?: SamplerState;
}

/** A fresh tile is drawn at most so many times as often as a replayed one, and the other way round. */
const largestOdds = 8;

/**
 * The share of fresh tiles in a stream: what the replay share leaves, but within bounds that keep a handful of tiles from
 * being learnt by heart.
 */
export function freshShare(tiles: Record<Age, number>, replayShare: number): number {
  const { fresh, replayed } = tiles;
  if (fresh === 0 || replayed === 0) return fresh === 0 ? 0 : 1;
  const atOdds = (odds: number): number => (odds * fresh) / (odds * fresh + replayed);
  return Math.min(atOdds(largestOdds), Math.max(atOdds(1 / largestOdds), 1 - replayShare));
}

export class Sampler {
  private readonly pools: Record<Stream, Record<Age, TilePool>>;
  private readonly drawn: Record<Stream, number>;
  private readonly forgotten = new Set<string>();
  private share: Record<Stream, number>;

  constructor(
    view: TrainingView,
    private readonly options: SamplerOptions,
  ) {
    const { state = freshSamplerState(), seed, balanced = false, classOf, isFresh = () => true } = options;
    const pool = (stream: Stream, age: Age): TilePool =>
      new TilePool(
        [seed, streams.indexOf(stream) + streams.length * ages.indexOf(age)],
        balanced && stream === 'labelled',
        state[stream][age],
      );
    const pools = (stream: Stream): Record<Age, TilePool> => ({ fresh: pool(stream, 'fresh'), replayed: pool(stream, 'replayed') });
    this.pools = { labelled: pools('labelled'), unlabelled: pools('unlabelled') };
    this.drawn = { labelled: state.labelled.drawn, unlabelled: state.unlabelled.drawn };
    for (const utterance of view.utterances.filter(isTrained)) {
      const emotion = classOf(utterance);
      this.pools[emotion >= 0 ? 'labelled' : 'unlabelled'][isFresh(utterance) ? 'fresh' : 'replayed'].add(utterance, emotion);
    }
    this.share = this.shares();
  }

  get state(): SamplerState {
    const of = (stream: Stream): StreamPlace => {
      const { fresh, replayed } = this.pools[stream];
      return { fresh: fresh.state, replayed: replayed.state, drawn: this.drawn[stream] };
    };
    return { labelled: of('labelled'), unlabelled: of('unlabelled') };
  }

  /** Back to a place that was this sampler's: what was drawn after it is drawn again. */
  goTo(state: SamplerState): void {
    for (const stream of streams) {
      this.drawn[stream] = state[stream].drawn;
      for (const age of ages) this.pools[stream][age].goTo(state[stream][age]);
    }
  }

  /** Tiles of these utterances are drawn no more. */
  forget(utteranceIds: Iterable<string>): void {
    for (const utteranceId of utteranceIds) this.forgotten.add(utteranceId);
    for (const stream of streams) for (const age of ages) this.pools[stream][age].retain((utterance) => this.isAlive(utterance));
    this.share = this.shares();
  }

  isAlive({ utteranceId }: Pick<ViewUtterance, 'utteranceId'>): boolean {
    return !this.forgotten.has(utteranceId);
  }

  sizeOf(stream: Stream): number {
    const { fresh, replayed } = this.pools[stream];
    return fresh.size + replayed.size;
  }

  freshSizeOf(stream: Stream): number {
    return this.pools[stream].fresh.size;
  }

  /** Labelled tiles of each class. */
  tilesOfClass(classCount: number): number[] {
    const counts = new Array<number>(classCount).fill(0);
    for (const age of ages) this.pools.labelled[age].countClasses(counts);
    return counts;
  }

  /**
   * @param wanted tiles of each stream; where a stream has none, the other fills the batch
   * @returns no tiles only if there are none at all
   */
  nextBatch(wanted: Record<Stream, number>): TileRef[] {
    const total = wanted.labelled + wanted.unlabelled;
    if (this.has('labelled') && this.has('unlabelled')) return streams.flatMap((stream) => this.draw(stream, wanted[stream]));
    return streams.flatMap((stream) => (this.has(stream) ? this.draw(stream, total) : []));
  }

  /**
   * Some tiles for statistics, the same for the same view: spread over all pools that batches of `wanted` are drawn from, without
   * moving the sampler. Who learns from labelled tiles alone sees no others here either.
   */
  spread(count: number, wanted: Record<Stream, number>): TileRef[] {
    const asked = streams.filter((stream) => wanted[stream] > 0 && this.has(stream));
    const pools = (asked.length > 0 ? asked : streams).flatMap((stream) => ages.map((age) => this.pools[stream][age]));
    const all = pools.flatMap((pool) => pool.all.filter(({ utterance }) => this.isAlive(utterance)));
    const stride = Math.max(1, all.length / count);
    return Array.from({ length: Math.min(count, all.length) }, (_, index) => all[Math.floor(index * stride)] as TileRef);
  }

  private has(stream: Stream): boolean {
    return this.sizeOf(stream) > 0;
  }

  private draw(stream: Stream, count: number): TileRef[] {
    const drawn: TileRef[] = [];
    while (drawn.length < count) {
      const tile = this.pools[stream][this.nextAge(stream)].next();
      if (!this.isAlive(tile.utterance)) continue;
      drawn.push(tile);
      this.drawn[stream]++;
    }
    return drawn;
  }

  /** Spread as evenly as whole tiles can be. */
  private nextAge(stream: Stream): Age {
    const share = this.share[stream];
    const at = this.drawn[stream];
    return Math.floor((at + 1) * share) > Math.floor(at * share) ? 'fresh' : 'replayed';
  }

  private shares(): Record<Stream, number> {
    const of = (stream: Stream): number => {
      const { fresh, replayed } = this.pools[stream];
      return freshShare({ fresh: fresh.size, replayed: replayed.size }, this.options.replayShare ?? 0);
    };
    return { labelled: of('labelled'), unlabelled: of('unlabelled') };
  }
}
