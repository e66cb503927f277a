/**
 * Which feature settings count for a corpus, and which tile geometry for all. While a corpus is made anew under other
 * settings its tiles of both lie beside each other; it moves over at once and whole, when the newer ones cover every live
 * version: each is in a shard, or dead-lettered, under them. A view has one geometry, since a network has one input: another
 * one is taken when every corpus that has tiles is covered in it.
 *
 * Features says which settings it makes a corpus's tiles under. Where that is known, the corpus moves to these and to no others,
 * also back to former ones; where it is not, the later ones win.
 *
 * Coverage is counted as facts come, so that a choice costs a look at each corpus and none at its utterances.
 */
/** [rows, frames] of a tile. */
export type TileGeometry = [rows: number, frames: number];

/** Of shards sealed before announcements said it. */
const unstatedGeometry: TileGeometry = [128, 256];
export const nameOf = (tile: TileGeometry): string => tile.join('x');
export const geometryOf = (name: string): TileGeometry => name.split('x').map(Number) as TileGeometry;

/** A hash of feature settings, and the tile geometry that its shards have. */
export class TileSettings {
  /** Geometry to shards that state it. */
  private readonly stated = new Map<string, number>();

  constructor(readonly hash: string) {}

  count(tile: TileGeometry | undefined, sign: 1 | -1): void {
    if (!tile) return;
    const shards = (this.stated.get(nameOf(tile)) ?? 0) + sign;
    if (shards > 0) this.stated.set(nameOf(tile), shards);
    else this.stated.delete(nameOf(tile));
  }

  /**
   * One hash has one geometry: shards that do not state it go with those that do. Where they contradict each other most
   * shards decide, so that one forged announcement does not turn the trainer to another network.
   */
  get geometry(): string {
    let [chosen, most] = [nameOf(unstatedGeometry), 0];
    for (const [name, shards] of this.stated) {
      if (shards > most || (shards === most && name < chosen)) [chosen, most] = [name, shards];
    }
    return chosen;
  }
}

/** Which of category, activation and valence are known: as much of the labels as decides what a target can learn from. */
export type LabelKind = number;

/** What a corpus has under one hash of settings. */
export class Coverage {
  /** Live versions in a shard, or dead-lettered. */
  covered = 0;
  /** Live versions in a shard. */
  sharded = 0;
  tiles = 0;
  /** Tiles that may be learnt from, by kind of labels. */
  readonly trainedTiles: number[] = [];
  /** Sum of the digests of the live versions in a shard. */
  digest = 0n;
  /** When the shards were sealed that hold rows of the corpus, live or dead, in ms. */
  private readonly sealedAt = new Map<string, number>();
  private first: number | undefined;

  constructor(readonly settings: TileSettings) {}

  addShard(shardId: string, sealedAtMs: number): void {
    this.sealedAt.set(shardId, sealedAtMs);
    if (this.first !== undefined) this.first = Math.min(this.first, sealedAtMs);
  }

  removeShard(shardId: string): void {
    if (this.sealedAt.get(shardId) === this.first) this.first = undefined;
    this.sealedAt.delete(shardId);
  }

  get hasShards(): boolean {
    return this.sealedAt.size > 0;
  }

  /** When its first shard was sealed; Infinity without one. */
  get firstSealedMs(): number {
    if (this.first === undefined) {
      let first = Infinity;
      for (const sealedAtMs of this.sealedAt.values()) if (sealedAtMs < first) first = sealedAtMs;
      this.first = first;
    }
    return this.first;
  }

  countTiles(kind: LabelKind | null, tiles: number): void {
    this.tiles += tiles;
    if (kind !== null) this.trainedTiles[kind] = (this.trainedTiles[kind] ?? 0) + tiles;
  }
}

export class Corpus {
  /** Its utterances that are alive. */
  live = 0;
  /** By settings hash. */
  readonly coverages = new Map<string, Coverage>();
  /** What it has moved to; null before anything was chosen. */
  current: Coverage | null = null;
  /** What features makes its tiles under; null where features has not said so. */
  wanted: { hash: string; geometry: string } | null = null;

  constructor(readonly name: string) {}

  coverageOf(settings: TileSettings): Coverage {
    let coverage = this.coverages.get(settings.hash);
    if (!coverage) this.coverages.set(settings.hash, (coverage = new Coverage(settings)));
    return coverage;
  }

  hasAllUnder({ covered, hasShards }: Coverage): boolean {
    return hasShards && this.live > 0 && covered === this.live;
  }

  get hasLiveTiles(): boolean {
    for (const { sharded } of this.coverages.values()) if (sharded > 0) return true;
    return false;
  }
}

/** The coverage that counts for the corpus from now on. */
export function nextCoverage(corpus: Corpus, geometry: string | null): Coverage | null {
  const isInGeometry = corpus.current?.settings.geometry === geometry;
  const current = isInGeometry ? corpus.current : fullestCoverage(corpus, geometry);
  if (!current) return null;
  if (corpus.wanted) {
    const wanted = corpus.coverages.get(corpus.wanted.hash);
    if (wanted && isIn(wanted, geometry) && corpus.hasAllUnder(wanted) && hasAsMuch(wanted, current)) return wanted;
    if (current.sharded > 0) return current;
  }
  let next = current;
  for (const other of coveragesIn(corpus, geometry)) {
    if (other === current || !corpus.hasAllUnder(other)) continue;
    if (!mayFollow(other, current)) continue;
    if (next === current || isLaterOrNamedLater(other, next)) next = other;
  }
  return next;
}

const isIn = (coverage: Coverage, geometry: string | null): boolean => coverage.hasShards && coverage.settings.geometry === geometry;

/** Nothing but dead letters takes no corpus over. */
const hasAsMuch = (other: { sharded: number }, now: { sharded: number }): boolean => other.sharded > 0 || now.sharded === 0;

/** Without a current one: that under which most is covered, the later one of equals. */
function fullestCoverage(corpus: Corpus, geometry: string | null): Coverage | null {
  let best: Coverage | null = null;
  for (const coverage of coveragesIn(corpus, geometry)) {
    if (!best || coverage.covered > best.covered || (coverage.covered === best.covered && isLaterOrNamedLater(coverage, best)))
      best = coverage;
  }
  return best;
}

function* coveragesIn(corpus: Corpus, geometry: string | null): Generator<Coverage> {
  for (const coverage of corpus.coverages.values()) if (isIn(coverage, geometry)) yield coverage;
}

/**
 * Whether one set of tiles may take the place of another, both whole: the later may, unless it is nothing but dead letters;
 * and where there are no tiles left, there is nothing to lose.
 */
function mayFollow(other: { sharded: number; firstSealedMs: number }, now: { sharded: number; firstSealedMs: number }): boolean {
  const [has, had] = [other.sharded > 0, now.sharded > 0];
  if (has !== had) return has;
  return other.firstSealedMs > now.firstSealedMs;
}

const isLater = (a: Coverage, b: Coverage): boolean => a.firstSealedMs > b.firstSealedMs;
const isLaterOrNamedLater = (a: Coverage, b: Coverage): boolean =>
  isLater(a, b) || (a.firstSealedMs === b.firstSealedMs && a.settings.hash > b.settings.hash);

interface GeometryCoverage {
  name: string;
  covered: number;
  sharded: number;
  firstSealedMs: number;
  /** Every corpus that has live tiles is covered in it. */
  isWhole: boolean;
}

/** The geometry that counts from now on; null while there are no shards. */
export function nextGeometry(corpora: Iterable<Corpus>, current: string | null): string | null {
  const all = [...corpora];
  const found = geometriesOf(all).map((name) => geometryCoverage(all, name));
  const now = found.find(({ name }) => name === current) ?? fullestGeometry(found);
  // All withdrawn: what replaces them may come at once.
  if (!now) return current;
  const wanted = wantedGeometry(all);
  if (wanted !== null) {
    const other = found.find(({ name }) => name === wanted);
    if (other?.isWhole && hasAsMuch(other, now)) return wanted;
    if (now.sharded > 0) return now.name;
  }
  const newer = found.filter((other) => other !== now && other.isWhole && mayFollow(other, now));
  return newer.sort(laterFirst)[0]?.name ?? now.name;
}

/** The one that features makes all tiles in; null where it has not said so, or makes them in several. */
function wantedGeometry(corpora: Corpus[]): string | null {
  const wanted = new Set(corpora.filter(({ hasLiveTiles }) => hasLiveTiles).map(({ wanted: each }) => each?.geometry ?? null));
  const [only = null] = wanted;
  return wanted.size === 1 ? only : null;
}

function geometriesOf(corpora: Corpus[]): string[] {
  const names = new Set<string>();
  for (const { coverages } of corpora)
    for (const { hasShards, settings } of coverages.values()) if (hasShards) names.add(settings.geometry);
  return [...names];
}

function geometryCoverage(corpora: Corpus[], name: string): GeometryCoverage {
  const coverage: GeometryCoverage = { name, covered: 0, sharded: 0, firstSealedMs: Infinity, isWhole: false };
  const withTiles = corpora.filter(({ hasLiveTiles }) => hasLiveTiles);
  for (const corpus of corpora) {
    let covered = 0;
    for (const each of coveragesIn(corpus, name)) {
      covered = Math.max(covered, each.covered);
      coverage.sharded += each.sharded;
      coverage.firstSealedMs = Math.min(coverage.firstSealedMs, each.firstSealedMs);
    }
    coverage.covered += covered;
  }
  coverage.isWhole =
    withTiles.length > 0 && withTiles.every((corpus) => [...coveragesIn(corpus, name)].some((each) => corpus.hasAllUnder(each)));
  return coverage;
}

const laterFirst = (a: GeometryCoverage, b: GeometryCoverage): number => b.firstSealedMs - a.firstSealedMs || (a.name > b.name ? -1 : 1);
const fullestGeometry = (found: GeometryCoverage[]): GeometryCoverage | undefined =>
  found.sort((a, b) => b.covered - a.covered || laterFirst(a, b))[0];
