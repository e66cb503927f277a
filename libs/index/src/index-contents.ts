/**
 * Converts the index to lines of JSON and back: first utterances as columns, then shards, whose rows refer to utterances by
 * number. Restoring it takes a small part of the time that reading the topics would.
 */
import { z } from 'zod';
import { labelsSchema, splits, streams } from '#contracts/labels.js';
import { shardKey } from '#contracts/object-keys.js';
import type { IndexedShard, IndexedUtterance, Traits } from './indexed-utterance.js';
import { TrainingIndex } from './training-index.js';

const utterancesPerLine = 20_000;

interface UtteranceColumns {
  ids: string[];
  /** Null for an utterance that is not alive. */
  versions: (string | null)[];
  /** Index into the list of all traits; -1 for an utterance that is not alive. */
  traits: number[];
  /** Seconds since 1970; 0 if unknown. Snapshots of old releases lack them. */
  ingestedAtSec?: number[];
  /** Index in this line, version, settings hash, time of failure in seconds since 1970. Snapshots of old releases lack the time. */
  refusals: [number, string, string, number?][];
}

interface ShardLine extends Pick<IndexedShard, 'shardId' | 'stream' | 'sealedAt' | 'tile'> {
  /** Written for trainers of old releases, never read: the key follows from the hash and the id. */
  objectKey: string;
  settingsHash: string;
  /** Numbers of the utterances, in order of the rows. */
  utterances: number[];
  /** Null means the live version. */
  versions: (string | null)[];
  firstRows: number[];
  tileCounts: number[];
}

const lastLineSchema = z.object({
  choice: z.object({ geometry: z.string().nullable(), settings: z.record(z.string(), z.string()) }),
  traits: z.array(z.tuple([labelsSchema, z.enum(splits), z.boolean()])),
  traces: z.array(z.tuple([z.string(), z.string(), z.string()])).default([]),
});

/** Runs in one go, so that no fact arrives in between. First drops the refusals that no longer count. */
export function linesOf(index: TrainingIndex): string[] {
  index.dropOldRefusals();
  const { utterances, shards } = index.held;
  const numbers = new Map<IndexedUtterance, number>();
  const traits = new Map<Traits, number>();
  const lines: string[] = [];
  const add = (kind: string, content: unknown): number => lines.push(JSON.stringify({ [kind]: content }));
  let columns = emptyColumns();
  for (const utterance of utterances) {
    numbers.set(utterance, numbers.size);
    addToColumns(columns, utterance, traits);
    if (columns.ids.length < utterancesPerLine) continue;
    add('utterances', columns);
    columns = emptyColumns();
  }
  add('utterances', columns);
  for (const shard of shards) add('shard', shardLine(shard, numbers));
  const ofTraits = [...traits.keys()].map(({ labels, split, withheld }) => [labels, split, withheld]);
  lines.push(JSON.stringify({ choice: index.choice, traits: ofTraits, traces: index.traces.contents }));
  return lines;
}

const emptyColumns = (): Required<UtteranceColumns> => ({ ids: [], versions: [], traits: [], ingestedAtSec: [], refusals: [] });

function addToColumns(columns: Required<UtteranceColumns>, utterance: IndexedUtterance, traits: Map<Traits, number>): void {
  const at = columns.ids.push(utterance.utteranceId) - 1;
  columns.versions.push(utterance.version);
  if (utterance.traits && !traits.has(utterance.traits)) traits.set(utterance.traits, traits.size);
  columns.traits.push(utterance.traits ? (traits.get(utterance.traits) as number) : -1);
  columns.ingestedAtSec.push(utterance.ingestedAtSec);
  for (const { version, settings, failedAtSec } of utterance.refusals ?? [])
    columns.refusals.push([at, version, settings.hash, failedAtSec]);
}

function shardLine(shard: IndexedShard, numbers: ReadonlyMap<IndexedUtterance, number>): ShardLine {
  const { shardId, stream, sealedAt, tile, settings } = shard;
  const line: ShardLine = {
    shardId,
    stream,
    objectKey: shardKey(settings.hash, shardId),
    sealedAt,
    tile,
    settingsHash: settings.hash,
    utterances: [],
    versions: [],
    firstRows: [],
    tileCounts: [],
  };
  for (const utterance of shard.utterances) {
    const place = utterance.rowsIn(shard);
    if (!place) continue;
    line.utterances.push(numbers.get(utterance) as number);
    line.versions.push(place.version === utterance.version ? null : place.version);
    line.firstRows.push(place.firstRow);
    line.tileCounts.push(place.tileCount);
  }
  return line;
}

/** @throws for lines that {@link linesOf} did not write */
export function indexOf(lines: Iterable<string>): TrainingIndex {
  const index = new TrainingIndex();
  const all = emptyColumns();
  let last: z.infer<typeof lastLineSchema> | undefined;
  for (const text of lines) {
    const line = JSON.parse(text) as { utterances?: UtteranceColumns; shard?: ShardLine };
    if (line.utterances) addAll(all, line.utterances);
    else if (line.shard) applyShard(index, line.shard, all);
    else last = lastLineSchema.parse(line);
  }
  if (!last) throw new Error('its last line is missing');
  // Utterances come after the shards, so that each utterance is counted once.
  for (let at = 0; at < all.ids.length; at++) {
    const [version, traits] = [all.versions[at], last.traits[all.traits[at] as number]];
    if (version === null || version === undefined) continue;
    if (!traits) throw new Error('it lacks the labels of an utterance');
    const [labels, split, withheld] = traits;
    const atSec = all.ingestedAtSec[at] ?? 0;
    const ingestedAt = atSec > 0 ? new Date(atSec * 1000).toISOString() : undefined;
    index.applyUtterance(all.ids[at] as string, { version, labels, split, withheld, ingestedAt });
  }
  for (const [at, version, settingsHash, failedAtSec = 0] of all.refusals) {
    const failedAt = new Date(failedAtSec * 1000).toISOString();
    index.applyDeadLetter({ stage: 'features', utteranceId: all.ids[at], version, settingsHash, failedAt });
  }
  index.traces.restore(last.traces);
  index.resume(last.choice);
  return index;
}

function addAll(all: Required<UtteranceColumns>, { ids, versions, traits, ingestedAtSec, refusals }: UtteranceColumns): void {
  const before = all.ids.length;
  for (let at = 0; at < ids.length; at++) {
    all.ids.push(ids[at] as string);
    all.versions.push(versions[at] as string | null);
    all.traits.push(traits[at] as number);
    all.ingestedAtSec.push(ingestedAtSec?.[at] ?? 0);
  }
  for (const [at, ...refusal] of refusals) all.refusals.push([before + at, ...refusal]);
}

function applyShard(index: TrainingIndex, line: ShardLine, { ids, versions }: UtteranceColumns): void {
  const { utterances, versions: others, firstRows, tileCounts, ...shard } = line;
  if (!streams.includes(shard.stream)) throw new Error('it has a shard of an unknown stream');
  const rows = utterances.map((number, at) => ({
    utteranceId: ids[number] as string,
    version: (others[at] ?? versions[number]) as string,
    firstRow: firstRows[at] as number,
    tileCount: tileCounts[at] as number,
  }));
  index.applyShard(shard.shardId, { ...shard, utterances: rows });
}
