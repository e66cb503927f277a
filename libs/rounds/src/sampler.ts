/**
 * Draws the tiles of a batch. It draws labelled and unlabelled tiles separately. In each stream it also separates tiles that
 * are fresh in this round from tiles that earlier rounds have learnt. So fresh tiles get their share, and the model does
 * not forget old ones. A tile counts as labelled if it has a label for the emotion head.
 *
 * The state of the sampler is a few numbers, and a resumed run draws exactly the tiles that it would have drawn without the
 * stop. Erased utterances are no longer drawn. After an erasure, another run would draw other tiles.
 */
import { isTrained, type TrainingView, type ViewUtterance } from '#index/training-index.js';
import { streams, type Stream } from '#contracts/labels.js';
import { type PoolState, TilePool, type TileRef } from './tile-pool.js';

const ages = ['fresh', 'replayed'] as const;
type Age = (typeof ages)[number];

export interface StreamState extends Record<Age, PoolState> {
  /** Number of tiles of the stream drawn in the round. */
  drawn: number;
}
export type SamplerState = Record<Stream, StreamState>;

const freshStreamState = (): StreamState => ({ fresh: { pass: 0, position: 0 }, replayed: { pass: 0, position: 0 }, drawn: 0 });
export const freshSamplerState = (): SamplerState => ({ labelled: freshStreamState(), unlabelled: freshStreamState() });

/** The state at the start of the next round, which shuffles again. */
export function nextRoundState({ labelled, unlabelled }: SamplerState): SamplerState {
  const next = ({ pass }: PoolState): PoolState => ({ pass: pass + 1, position: 0 });
  const begun = (place: StreamState): StreamState => ({ fresh: next(place.fresh), replayed: next(place.replayed), drawn: 0 });
  return { labelled: begun(labelled), unlabelled: begun(unlabelled) };
}

export interface SamplerOptions {
  seed: number;
  /** Class of an utterance in the emotion head; -1 if it has none. */
  classOf: (utterance: ViewUtterance) => number;
  /** True to draw all classes equally often. */
  balanced?: boolean;
  /** True for an utterance that is new in this round. Default: all are. */
  isFresh?: (utterance: ViewUtterance) => boolean;
  /** Share of each stream's tiles that earlier rounds have learnt already; see `freshShare`. */
  replayShare?: number;
  /** State to continue from. Default: the beginning. */
  state?: SamplerState;
}

/** Largest ratio between the rates at which a fresh and a replayed tile are drawn, in both directions. */
const largestOdds = 8;

/**
 * The share of fresh tiles in a stream: one minus the replay share, within bounds that keep the model from learning a
 * handful of tiles by heart.
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
  private readonly erased = new Set<string>();
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
    const stateOf = (stream: Stream): StreamState => {
      const { fresh, replayed } = this.pools[stream];
      return { fresh: fresh.state, replayed: replayed.state, drawn: this.drawn[stream] };
    };
    return { labelled: stateOf('labelled'), unlabelled: stateOf('unlabelled') };
  }

  /** Returns to an earlier state of this sampler: later tiles are drawn again. */
  goTo(state: SamplerState): void {
    for (const stream of streams) {
      this.drawn[stream] = state[stream].drawn;
      for (const age of ages) this.pools[stream][age].goTo(state[stream][age]);
    }
  }

  /** Erases utterances: their tiles are no longer drawn. */
  erase(utteranceIds: Iterable<string>): void {
    for (const utteranceId of utteranceIds) this.erased.add(utteranceId);
    for (const stream of streams) for (const age of ages) this.pools[stream][age].retain((utterance) => this.isAlive(utterance));
    this.share = this.shares();
  }

  isAlive({ utteranceId }: Pick<ViewUtterance, 'utteranceId'>): boolean {
    return !this.erased.has(utteranceId);
  }

  sizeOf(stream: Stream): number {
    const { fresh, replayed } = this.pools[stream];
    return fresh.size + replayed.size;
  }

  freshSizeOf(stream: Stream): number {
    return this.pools[stream].fresh.size;
  }

  /** Number of labelled tiles of each class. */
  tilesOfClass(classCount: number): number[] {
    const counts = new Array<number>(classCount).fill(0);
    for (const age of ages) this.pools.labelled[age].countClasses(counts);
    return counts;
  }

  /**
   * @param wanted number of tiles of each stream; if one stream is empty, the other fills the batch
   * @returns no tiles only if both streams are empty
   */
  nextBatch(wanted: Record<Stream, number>): TileRef[] {
    const total = wanted.labelled + wanted.unlabelled;
    if (this.has('labelled') && this.has('unlabelled')) return streams.flatMap((stream) => this.draw(stream, wanted[stream]));
    return streams.flatMap((stream) => (this.has(stream) ? this.draw(stream, total) : []));
  }

  /**
   * Picks tiles for statistics, always the same for the same view. They are spread over all pools that batches of `wanted`
   * use, and the sampler's state stays. A run that uses labelled tiles only gets only labelled tiles here too.
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

  /** Spreads fresh tiles as evenly as whole tiles allow. */
  private nextAge(stream: Stream): Age {
    const share = this.share[stream];
    const at = this.drawn[stream];
    return Math.floor((at + 1) * share) > Math.floor(at * share) ? 'fresh' : 'replayed';
  }

  private shares(): Record<Stream, number> {
    const shareOf = (stream: Stream): number => {
      const { fresh, replayed } = this.pools[stream];
      return freshShare({ fresh: fresh.size, replayed: replayed.size }, this.options.replayShare ?? 0);
    };
    return { labelled: shareOf('labelled'), unlabelled: shareOf('unlabelled') };
  }
}
