/**
 * Chooses the feature settings in use for each corpus, and the one tile geometry in use for all. While features remakes the
 * tiles of a corpus under new settings, the corpus has tiles under both. The corpus moves to the new settings in one step,
 * when they cover every live version: each has tiles in a shard, or a dead letter, under them. A network has one input
 * size, so a view has one geometry. The geometry changes when the new one covers every corpus that has tiles.
 *
 * Features announces the settings that it uses for a corpus. If these are known, the corpus moves to them only, even back
 * to earlier ones. If they are unknown, the later settings win.
 *
 * Coverage is counted as facts arrive, so a choice looks at each corpus but at none of its utterances.
 */
/** [rows, frames] of a tile. */
export type TileGeometry = [rows: number, frames: number];

/** Geometry of shards from before announcements stated it. */
const unstatedGeometry: TileGeometry = [128, 256];
export const nameOf = (tile: TileGeometry): string => tile.join('x');
export const geometryOf = (name: string): TileGeometry => name.split('x').map(Number) as TileGeometry;

/** One set of feature settings, by its hash, and the tile geometry of its shards. */
export class TileSettings {
  /** Geometry to the number of shards that state it. */
  private readonly stated = new Map<string, number>();
  /** The geometry of a shard file with these settings. Records cannot change it. */
  proven: string | null = null;

  constructor(readonly hash: string) {}

  count(tile: TileGeometry | undefined, sign: 1 | -1): void {
    if (!tile) return;
    const shards = (this.stated.get(nameOf(tile)) ?? 0) + sign;
    if (shards > 0) this.stated.set(nameOf(tile), shards);
    else this.stated.delete(nameOf(tile));
  }

  /** True if shards state different geometries, and no file has decided. */
  get isContested(): boolean {
    return this.proven === null && this.stated.size > 1;
  }

  /**
   * One hash has one geometry: shards that do not state it go with those that do. Where they contradict each other most
   * shards decide, until a file proves the geometry.
   */
  get geometry(): string {
    if (this.proven !== null) return this.proven;
    let [chosen, most] = [nameOf(unstatedGeometry), 0];
    for (const [name, shards] of this.stated) {
      if (shards > most || (shards === most && name < chosen)) [chosen, most] = [name, shards];
    }
    return chosen;
  }
}

/** A settings hash whose geometry only records state so far. */
export interface UnprovenSettings {
  settingsHash: string;
  /** Its shards, by the geometry that they state. */
  shardIds: Map<string, string[]>;
}

/** A bit set of the labels that are known: category, activation, valence. It decides which targets can learn from an utterance. */
export type LabelKind = number;

/** The tiles and dead letters of a corpus under one settings hash. */
export class Coverage {
  /** Number of live versions in a shard or with a dead letter. */
  covered = 0;
  /** Number of live versions in a shard. */
  sharded = 0;
  tiles = 0;
  /** Number of tiles that training may use, by kind of labels. */
  readonly trainedTiles: number[] = [];
  /** Sum of the digests of the live versions in a shard. */
  digest = 0n;
  /** Time in ms at which each shard with rows of the corpus, live or dead, was sealed. */
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

  /** Time in ms at which its first shard was sealed; Infinity if it has none. */
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
  /** Number of live utterances. */
  live = 0;
  /** Coverage by settings hash. */
  readonly coverages = new Map<string, Coverage>();
  /** The coverage that the corpus has moved to; null before the first choice. */
  current: Coverage | null = null;
  /** The settings that features uses for the corpus; null if features has not announced them. */
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

/** @returns the coverage that the corpus uses from now on */
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

/** A corpus does not move to settings under which it has only dead letters. */
const hasAsMuch = (other: { sharded: number }, now: { sharded: number }): boolean => other.sharded > 0 || now.sharded === 0;

/** The first choice, for a corpus without a current coverage: the one that covers most; the later one of equals. */
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
 * True if one complete set of tiles may replace another. The later set may, unless it holds only dead letters. If the
 * current set has no tiles left, nothing can be lost.
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
  /** True if the geometry covers every corpus that has live tiles. */
  isWhole: boolean;
}

/** @returns the geometry in use from now on; null while there are no shards */
export function nextGeometry(corpora: Iterable<Corpus>, current: string | null): string | null {
  const all = [...corpora];
  const found = geometriesOf(all).map((name) => geometryCoverage(all, name));
  const now = found.find(({ name }) => name === current) ?? fullestGeometry(found);
  // All shards were withdrawn. Their replacements may follow at once, so the geometry stays.
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

/** The geometry that features uses for all corpora; null if features has not announced it, or uses several. */
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
