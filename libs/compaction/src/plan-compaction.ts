/**
 * Plans the compaction of shards: which shards are rewritten without their dead rows, which are merged, which are withdrawn.
 *
 * A row is live if its version is the current one and no other shard of the same feature settings keeps it. A shard is
 * withdrawn unread if others have all its current rows. Of several shards with a row, the lowest id keeps it, as in the index
 * (training-index.ts). A shard that stays wins over one that is rewritten, so that the output is never a duplicate again.
 *
 * Delivery: the plan depends on its input only. Carried out, it leaves the same live utterances, no erased ones, and
 * nothing more to plan.
 */
import type { Stream } from '#contracts/labels.js';
import { factBytesOf, largestFactBytes, type ShardSealed } from '#contracts/shards.js';

export interface CompactionSettings {
  /** Most tiles of a shard. A shard with fewer than half of them is small. */
  shardTiles: number;
  /** A shard is rewritten from this share of superseded and duplicate tiles on. */
  deadShare: number;
}

type ShardUtterance = ShardSealed['utterances'][number];

/** Whole utterances of one shard that go into a new shard. */
export interface PlannedPart {
  shard: ShardSealed;
  utterances: ShardUtterance[];
}

export interface PlannedShard {
  stream: Stream;
  settingsHash: string;
  parts: PlannedPart[];
  tileCount: number;
}

/** Number of tiles that no shard holds any more, by reason. */
export interface DroppedTiles {
  erased: number;
  superseded: number;
  duplicate: number;
}

export interface CompactionPlan {
  outputs: PlannedShard[];
  /** Not needed once all outputs that use them are announced: sources, and shards without a live row. */
  withdrawn: ShardSealed[];
  dropped: DroppedTiles;
}

export interface CompactionInput {
  shards: Iterable<ShardSealed>;
  /** @returns the version in the utterance's current record; undefined if there is none */
  versionOf: (utteranceId: string) => string | undefined;
  /** Ids of shards whose objects are gone or damaged. They are never a source, and keep a row only if no other shard has it. */
  unreadable?: ReadonlySet<string>;
}

interface Judged {
  shard: ShardSealed;
  live: ShardUtterance[];
  dropped: DroppedTiles;
  liveTiles: number;
}

/** A unit of packing: all live rows of a shard, or a part of them if one shard cannot take all. */
interface Piece extends PlannedPart {
  tileCount: number;
  factBytes: number;
}

export function planCompaction(input: CompactionInput, settings: CompactionSettings): CompactionPlan {
  const all = [...input.shards].sort((a, b) => (a.shardId < b.shardId ? -1 : 1));
  const superfluous = superfluousOf(all, input);
  const shards = all.filter((shard) => !superfluous.has(shard));
  const holders = new Holders(shards, input);
  // A rewritten shard may leave a duplicate to another, which may then be worth rewriting. The set only grows, so this ends.
  const rewritten = new Set<string>();
  for (;;) {
    const judged = shards.map((shard) => judge(shard, holders.keptBy(rewritten), input.versionOf));
    const outputs = outputsOf(judged, rewritten, { ...settings, unreadable: input.unreadable ?? new Set() });
    const sources = new Set(outputs.flatMap(({ parts }) => parts.map(({ shard }) => shard.shardId)));
    const before = rewritten.size;
    for (const shardId of sources) rewritten.add(shardId);
    if (rewritten.size > before) continue;
    const unread = [...superfluous].map((shard) => judge(shard, () => false, input.versionOf));
    const gone = [...unread, ...judged.filter(({ shard, live }) => live.length === 0 || sources.has(shard.shardId))];
    return { outputs, withdrawn: gone.map(({ shard }) => shard), dropped: sumOf(gone.map(({ dropped }) => dropped)) };
  }
}

/**
 * Finds shards whose current rows are all in shards that stay. Shards with dead rows are tried first, then the smallest. So
 * a job that died after announcing an output, and before withdrawing its sources, ends as if it had not died.
 */
function superfluousOf(shards: readonly ShardSealed[], { versionOf, unreadable }: CompactionInput): Set<ShardSealed> {
  const currentIn = ({ utterances }: ShardSealed): string[] => [
    ...new Set(utterances.flatMap(({ utteranceId, version }) => (versionOf(utteranceId) === version ? [utteranceId] : []))),
  ];
  /** Settings hash, then utterance id, to the number of readable shards that hold it. */
  const counts = new Map<string, Map<string, number>>();
  const count = (shard: ShardSealed, change: 1 | -1): void => {
    if (unreadable?.has(shard.shardId)) return;
    const held = counts.get(shard.settingsHash) ?? new Map<string, number>();
    counts.set(shard.settingsHash, held);
    for (const utteranceId of currentIn(shard)) held.set(utteranceId, (held.get(utteranceId) ?? 0) + change);
  };
  for (const shard of shards) count(shard, 1);
  const isClean = ({ utterances }: ShardSealed): number =>
    Number(utterances.every(({ utteranceId: id, version }) => versionOf(id) === version));
  const ordered = shards
    .map((shard) => ({ shard, clean: isClean(shard) }))
    .sort((a, b) => a.clean - b.clean || a.shard.tileCount - b.shard.tileCount);
  const superfluous = new Set<ShardSealed>();
  for (const { shard } of ordered) {
    const others = unreadable?.has(shard.shardId) ? 0 : 1;
    if (!currentIn(shard).every((utteranceId) => (counts.get(shard.settingsHash)?.get(utteranceId) ?? 0) > others)) continue;
    superfluous.add(shard);
    count(shard, -1);
  }
  return superfluous;
}

/** The shards that hold an utterance in its current version, by feature settings. */
class Holders {
  /** Settings hash and utterance id to the one shard, or to all shards if there are several. */
  private readonly bySettings = new Map<string, Map<string, string | string[]>>();

  constructor(
    shards: readonly ShardSealed[],
    private readonly input: CompactionInput,
  ) {
    for (const { shardId, settingsHash, utterances } of shards) {
      const held = this.bySettings.get(settingsHash) ?? new Map<string, string | string[]>();
      this.bySettings.set(settingsHash, held);
      for (const { utteranceId, version } of utterances) {
        if (input.versionOf(utteranceId) !== version) continue;
        const others = held.get(utteranceId);
        if (others === undefined) held.set(utteranceId, shardId);
        else if (typeof others !== 'string') others.push(shardId);
        else if (others !== shardId) held.set(utteranceId, [others, shardId]);
      }
    }
  }

  /** @returns a function that tells if a shard keeps an utterance's current version, given the rewritten shards */
  keptBy(rewritten: ReadonlySet<string>): (shard: ShardSealed, utteranceId: string) => boolean {
    const rank = (shardId: string): number => (this.input.unreadable?.has(shardId) ? 2 : rewritten.has(shardId) ? 1 : 0);
    return ({ settingsHash, shardId }, utteranceId) => {
      const held = this.bySettings.get(settingsHash)?.get(utteranceId);
      if (held === undefined || typeof held === 'string') return held === shardId;
      // The ids are sorted already.
      return held.reduce((keeper, other) => (rank(other) < rank(keeper) ? other : keeper)) === shardId;
    };
  }
}

function judge(
  shard: ShardSealed,
  isKept: (shard: ShardSealed, utteranceId: string) => boolean,
  versionOf: CompactionInput['versionOf'],
): Judged {
  const dropped = { erased: 0, superseded: 0, duplicate: 0 };
  const live: ShardUtterance[] = [];
  const seen = new Set<string>();
  // If a shard lists an utterance twice, the later entry counts, as in the index.
  for (const utterance of shard.utterances.toReversed()) {
    const current = versionOf(utterance.utteranceId);
    if (current === undefined) dropped.erased += utterance.tileCount;
    else if (current !== utterance.version) dropped.superseded += utterance.tileCount;
    else if (seen.has(utterance.utteranceId) || !isKept(shard, utterance.utteranceId)) dropped.duplicate += utterance.tileCount;
    else live.push(utterance);
    if (current === utterance.version) seen.add(utterance.utteranceId);
  }
  return { shard, live: live.reverse(), dropped, liveTiles: live.reduce((sum, { tileCount }) => sum + tileCount, 0) };
}

function outputsOf(
  judged: readonly Judged[],
  rewritten: ReadonlySet<string>,
  options: CompactionSettings & { unreadable: ReadonlySet<string> },
): PlannedShard[] {
  const { shardTiles, deadShare, unreadable } = options;
  const isDue = ({ shard, dropped }: Judged): boolean => {
    const dead = dropped.superseded + dropped.duplicate;
    return rewritten.has(shard.shardId) || dropped.erased > 0 || (dead > 0 && dead >= deadShare * shard.tileCount);
  };
  const due = new Set<string>();
  const groups = new Map<string, Piece[]>();
  for (const each of judged) {
    const { shard, live, liveTiles } = each;
    if (live.length === 0 || unreadable.has(shard.shardId)) continue;
    if (isDue(each)) due.add(shard.shardId);
    else if (liveTiles * 2 >= shardTiles) continue;
    const name = `${shard.settingsHash}/${shard.stream}`;
    const group = groups.get(name) ?? [];
    groups.set(name, group);
    group.push(...(due.has(shard.shardId) ? piecesOf(each, shardTiles) : [pieceOf(shard, live)]));
  }
  const packed = [...groups.values()].flatMap((pieces) => pack(pieces, shardTiles));
  return packed.filter((pieces) => pieces.length > 1 || due.has(pieces[0]?.shard.shardId ?? '')).map(plannedShard);
}

/** First fit, the largest first: no two of the results would fit together. */
function pack(pieces: Piece[], shardTiles: number): Piece[][] {
  const bins: { pieces: Piece[]; tileCount: number; factBytes: number }[] = [];
  const ordered = pieces.toSorted((a, b) => b.tileCount - a.tileCount || (a.shard.shardId < b.shard.shardId ? -1 : 1));
  for (const piece of ordered) {
    const bin = bins.find((each) => each.tileCount + piece.tileCount <= shardTiles && each.factBytes + piece.factBytes <= largestFactBytes);
    if (!bin) bins.push({ pieces: [piece], tileCount: piece.tileCount, factBytes: piece.factBytes });
    else {
      bin.pieces.push(piece);
      bin.tileCount += piece.tileCount;
      bin.factBytes += piece.factBytes;
    }
  }
  return bins.map((bin) => bin.pieces);
}

/** Splits the live rows of a shard into pieces that each fit into a shard. */
function piecesOf({ shard, live }: Judged, shardTiles: number): Piece[] {
  const pieces: Piece[] = [];
  let open: Piece | undefined;
  for (const utterance of live) {
    const factBytes = factBytesOf(utterance.utteranceId);
    if (!open || open.tileCount + utterance.tileCount > shardTiles || open.factBytes + factBytes > largestFactBytes) {
      open = pieceOf(shard, []);
      pieces.push(open);
    }
    open.utterances.push(utterance);
    open.tileCount += utterance.tileCount;
    open.factBytes += factBytes;
  }
  return pieces;
}

function pieceOf(shard: ShardSealed, utterances: ShardUtterance[]): Piece {
  return {
    shard,
    utterances,
    tileCount: utterances.reduce((sum, { tileCount }) => sum + tileCount, 0),
    factBytes: utterances.reduce((sum, { utteranceId }) => sum + factBytesOf(utteranceId), 0),
  };
}

function plannedShard(pieces: Piece[]): PlannedShard {
  const { stream, settingsHash } = (pieces[0] as Piece).shard;
  return {
    stream,
    settingsHash,
    parts: pieces.map(({ shard, utterances }) => ({ shard, utterances })),
    tileCount: pieces.reduce((sum, { tileCount }) => sum + tileCount, 0),
  };
}

function sumOf(all: readonly DroppedTiles[]): DroppedTiles {
  const sum = { erased: 0, superseded: 0, duplicate: 0 };
  for (const { erased, superseded, duplicate } of all) {
    sum.erased += erased;
    sum.superseded += superseded;
    sum.duplicate += duplicate;
  }
  return sum;
}
