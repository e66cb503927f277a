/** A plain implementation of the index's rules, without regard to cost: each question looks at every fact. */
import type { DeadLetter } from '#contracts/dead-letters.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { corpusOf } from '#contracts/object-keys.js';

export interface NaiveView {
  settings: Record<string, string>;
  tile: [number, number] | null;
  /** Utterance, version and shard, in order of utterance id. */
  rows: [string, string, string][];
}

export class NaiveIndex {
  readonly live = new Map<string, UtteranceIngested>();
  readonly shards = new Map<string, ShardSealed>();
  private readonly refused = new Set<string>();
  private readonly current = new Map<string, string>();
  private geometry: string | null = null;
  isCaughtUp = false;

  applyUtterance(id: string, fact: UtteranceIngested | null): void {
    if (fact) this.live.set(id, fact);
    else this.live.delete(id);
    this.choose();
  }

  applyShard(id: string, fact: ShardSealed | null): void {
    if (fact) this.shards.set(id, fact);
    else this.shards.delete(id);
    this.choose();
  }

  applyDeadLetter({ utteranceId, version, settingsHash }: DeadLetter): void {
    this.refused.add(`${utteranceId}@${version} ${settingsHash}`);
    this.choose();
  }

  caughtUp(): void {
    this.isCaughtUp = true;
    this.choose();
  }

  view(): NaiveView {
    const geometry = this.isCaughtUp ? this.geometry : this.nextGeometry();
    const settings: Record<string, string> = {};
    const rows: NaiveView['rows'] = [];
    for (const corpus of this.corpora()) {
      const hash = this.isCaughtUp ? this.current.get(corpus) : this.next(corpus, geometry);
      if (hash === undefined) continue;
      for (const { utteranceId, version } of this.liveOf(corpus)) {
        const [shard] = this.holding(utteranceId, version, hash);
        if (!shard) continue;
        settings[corpus] = hash;
        rows.push([utteranceId, version, shard]);
      }
    }
    const tile = geometry === null ? null : (geometry.split('x').map(Number) as [number, number]);
    return { settings, tile, rows: rows.sort(([a], [b]) => (a < b ? -1 : 1)) };
  }

  private choose(): void {
    if (!this.isCaughtUp) return;
    const geometry = this.nextGeometry();
    if (geometry !== this.geometry) this.current.clear();
    this.geometry = geometry;
    for (const corpus of this.corpora()) {
      const next = this.next(corpus, geometry);
      if (next === undefined) this.current.delete(corpus);
      else this.current.set(corpus, next);
    }
  }

  private next(corpus: string, geometry: string | null): string | undefined {
    const before = this.current.get(corpus);
    const isInGeometry = before !== undefined && this.geometryOf(before) === geometry;
    const current = isInGeometry ? before : this.fullest(corpus, geometry);
    if (current === undefined) return undefined;
    const mayMove = this.hashesOf(corpus, geometry)
      .filter((hash) => hash !== current && this.hasAll(corpus, hash))
      .filter((hash) => {
        const [has, had] = [this.sharded(corpus, hash) > 0, this.sharded(corpus, current) > 0];
        return has === had ? this.firstSealed(corpus, hash) > this.firstSealed(corpus, current) : has;
      });
    return this.latest(corpus, mayMove) ?? current;
  }

  private nextGeometry(): string | null {
    const found = this.geometries();
    const now = this.geometry !== null && found.includes(this.geometry) ? this.geometry : this.fullestGeometry();
    if (now === null) return this.geometry;
    const withTiles = this.corpora().filter((corpus) => this.hashesOf(corpus, null).some((hash) => this.sharded(corpus, hash) > 0));
    const whole = found.filter(
      (geometry) =>
        geometry !== now &&
        withTiles.length > 0 &&
        withTiles.every((corpus) => this.hashesOf(corpus, geometry).some((hash) => this.hasAll(corpus, hash))) &&
        (this.shardedIn(geometry) > 0 === this.shardedIn(now) > 0
          ? this.firstOf(geometry) > this.firstOf(now)
          : this.shardedIn(geometry) > 0),
    );
    return whole.sort((a, b) => this.firstOf(b) - this.firstOf(a) || (a > b ? -1 : 1))[0] ?? now;
  }

  private fullestGeometry(): string | null {
    const covered = (geometry: string): number =>
      this.corpora().reduce(
        (sum, corpus) => sum + Math.max(0, ...this.hashesOf(corpus, geometry).map((hash) => this.covered(corpus, hash))),
        0,
      );
    return this.geometries().sort((a, b) => covered(b) - covered(a) || this.firstOf(b) - this.firstOf(a) || (a > b ? -1 : 1))[0] ?? null;
  }

  private fullest(corpus: string, geometry: string | null): string | undefined {
    const hashes = geometry === null ? [] : this.hashesOf(corpus, geometry);
    const most = Math.max(...hashes.map((hash) => this.covered(corpus, hash)));
    return this.latest(
      corpus,
      hashes.filter((hash) => this.covered(corpus, hash) === most),
    );
  }

  private latest(corpus: string, hashes: string[]): string | undefined {
    return hashes.sort((a, b) => this.firstSealed(corpus, b) - this.firstSealed(corpus, a) || (a > b ? -1 : 1))[0];
  }

  private corpora(): string[] {
    const ids = [...this.live.keys(), ...[...this.shards.values()].flatMap(({ utterances }) => utterances.map((each) => each.utteranceId))];
    return [...new Set([...ids.map(corpusOf), ...this.current.keys()])];
  }

  private liveOf(corpus: string): UtteranceIngested[] {
    return [...this.live.values()].filter(({ utteranceId }) => corpusOf(utteranceId) === corpus);
  }

  private shardsOf(corpus: string): ShardSealed[] {
    return [...this.shards.values()].filter(({ utterances }) => utterances.some(({ utteranceId }) => corpusOf(utteranceId) === corpus));
  }

  /** @param geometry null for any geometry */
  private hashesOf(corpus: string, geometry: string | null): string[] {
    const hashes = [...new Set(this.shardsOf(corpus).map(({ settingsHash }) => settingsHash))];
    return hashes.filter((hash) => geometry === null || this.geometryOf(hash) === geometry);
  }

  private geometries(): string[] {
    return [...new Set([...this.shards.values()].map(({ settingsHash }) => this.geometryOf(settingsHash)))];
  }

  private geometryOf(hash: string): string {
    const stated = [...this.shards.values()].filter(({ settingsHash, tile }) => settingsHash === hash && tile);
    return stated[0]?.tile?.join('x') ?? '128x256';
  }

  private holding(utteranceId: string, version: string, hash: string): string[] {
    const holds = ({ utterances }: ShardSealed): boolean =>
      utterances.some((each) => each.utteranceId === utteranceId && each.version === version);
    return [...this.shards.values()]
      .filter((shard) => shard.settingsHash === hash && holds(shard))
      .map(({ shardId }) => shardId)
      .sort();
  }

  private sharded(corpus: string, hash: string): number {
    return this.liveOf(corpus).filter(({ utteranceId, version }) => this.holding(utteranceId, version, hash).length > 0).length;
  }

  private covered(corpus: string, hash: string): number {
    return this.liveOf(corpus).filter(
      ({ utteranceId, version }) =>
        this.holding(utteranceId, version, hash).length > 0 || this.refused.has(`${utteranceId}@${version} ${hash}`),
    ).length;
  }

  private hasAll(corpus: string, hash: string): boolean {
    const live = this.liveOf(corpus).length;
    return live > 0 && this.covered(corpus, hash) === live;
  }

  private firstSealed(corpus: string, hash: string): number {
    const sealed = this.shardsOf(corpus).filter(({ settingsHash }) => settingsHash === hash);
    return Math.min(...sealed.map(({ sealedAt }) => Date.parse(sealedAt)));
  }

  private firstOf(geometry: string): number {
    const sealed = [...this.shards.values()].filter(({ settingsHash }) => this.geometryOf(settingsHash) === geometry);
    return Math.min(...sealed.map(({ sealedAt }) => Date.parse(sealedAt)));
  }

  private shardedIn(geometry: string): number {
    const counts = this.corpora().flatMap((corpus) => this.hashesOf(corpus, geometry).map((hash) => this.sharded(corpus, hash)));
    return counts.reduce((sum, count) => sum + count, 0);
  }
}
