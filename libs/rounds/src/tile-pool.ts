/**
 * Draws tiles one after another and shuffles again for each pass over them. In a balanced pool, a pass takes a tile of each
 * class in turn, and repeats the rare classes until the pass is as long as the pool.
 * The order of a pass depends only on the seed and the number of the pass, so the state is two numbers.
 */
import type { ViewUtterance } from '#index/training-index.js';

export interface TileRef {
  utterance: ViewUtterance;
  /** Row of the tile in its shard. */
  row: number;
}

export interface PoolState {
  pass: number;
  position: number;
}

export class TilePool {
  private readonly tiles: TileRef[] = [];
  /** Class of each tile, by position; -1 if it has none. */
  private readonly classes: number[] = [];
  private order: Uint32Array | undefined;
  private erasedCount = 0;

  /** @param seeds numbers that tell this pool from others; each pass adds its own number */
  constructor(
    private readonly seeds: readonly number[],
    private readonly isBalanced: boolean,
    private current: PoolState,
  ) {}

  add(utterance: ViewUtterance, emotion: number): void {
    for (let tile = 0; tile < utterance.tileCount; tile++) {
      this.tiles.push({ utterance, row: utterance.firstRow + tile });
      this.classes.push(emotion);
    }
  }

  /** Number of tiles that may be drawn. */
  get size(): number {
    return this.tiles.length - this.erasedCount;
  }

  get state(): PoolState {
    return { ...this.current };
  }

  goTo(place: PoolState): void {
    if (place.pass !== this.current.pass) this.order = undefined;
    this.current = { ...place };
  }

  /** @param isAlive false for utterances that may no longer be drawn */
  retain(isAlive: (utterance: ViewUtterance) => boolean): void {
    this.erasedCount = this.tiles.filter(({ utterance }) => !isAlive(utterance)).length;
  }

  /** The next tile of a non-empty pool, even if it may no longer be drawn. */
  next(): TileRef {
    if (this.current.position >= this.tiles.length) {
      this.current = { pass: this.current.pass + 1, position: 0 };
      this.order = undefined;
    }
    this.order ??= this.shuffled();
    return this.tiles[this.order[this.current.position++] as number] as TileRef;
  }

  /** All tiles, in the order in which they were added. */
  get all(): readonly TileRef[] {
    return this.tiles;
  }

  /** Adds the number of tiles of each class to `counts`. */
  countClasses(counts: number[]): void {
    for (const emotion of this.classes) if (emotion >= 0) counts[emotion]! += 1;
  }

  /** Fisher-Yates shuffle with a separate generator for each pass. */
  private shuffled(): Uint32Array {
    const order = Uint32Array.from(this.tiles, (_, index) => index);
    const random = passRandom(...this.seeds, this.current.pass);
    for (let last = order.length - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1));
      [order[last], order[other]] = [order[other] as number, order[last] as number];
    }
    return this.isBalanced ? this.inTurn(order) : order;
  }

  /** Takes tiles of each class in turn, in the given order within a class. The result is as long as the pool. */
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

/** splitmix32 with a mixed seed: good enough for shuffling, and the same on every machine. */
function passRandom(...seeds: number[]): () => number {
  let state = seeds.reduce((mixed, seed) => Math.imul(mixed ^ (seed + 0x9e3779b9), 0x85ebca6b) ^ (mixed >>> 13), 0x243f6a88) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
