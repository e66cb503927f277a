/**
 * Reads and writes shards: tiles of many utterances in one uncompressed Arrow IPC file, the bytes that lie in the bucket.
 * Tiles are 8-bit fixed-size binary (128 x 256 in the paper's Section IV-B), labels are plain columns, and the feature
 * settings are schema metadata under `undertone.`. Pyarrow, pandas, polars and DuckDB open the file directly.
 *
 * Delivery: the same rows and settings give the same bytes, so writing a shard twice under one name does no harm.
 *
 * A view of a tile does not survive changes to the bytes that it was read from. Nothing is copied, provided that those
 * start at a multiple of 8 in their buffer.
 */
import {
  type Data,
  type DataType,
  Field,
  FixedSizeBinary,
  Float32,
  Float64,
  Int32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import type { LevelEdges, SilenceProfile } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { TileTime } from '../tile-times.js';
import { type FeatureSettings, settingsHash, tileSizeBytes, validateSettings } from '../feature-settings.js';

export interface ShardRow {
  /** [rows, width] */
  tile: Uint8Array;
  utteranceId: string;
  version: string;
  /** Index of the tile within its utterance, from 0. */
  tileIndex: number;
  corpus: string;
  speaker: string | null;
  gender: string | null;
  category: string | null;
  activation: number | null;
  valence: number | null;
  /** Level edges, if the labels of the row have them. */
  levelEdges?: LevelEdges | null;
  /** Time of the tile in its recording, if known. */
  time?: TileTime | null;
}

export interface ShardWriteOptions {
  /** The silence profile of all rows; null (default) if they differ. */
  silence?: SilenceProfile | null;
}

/** Access to rows by number, from 0 to count - 1. */
export interface ShardFile {
  settings: FeatureSettings;
  settingsHash: string;
  silence: SilenceProfile | null;
  count: number;
  /** [count, rows, width], a view of the file's bytes */
  tiles: Uint8Array;
  /** [rows, width], a view of the file's bytes */
  tileAt(row: number): Uint8Array;
  utteranceIdAt(row: number): string;
  versionAt(row: number): string;
  tileIndexAt(row: number): number;
  corpusAt(row: number): string;
  speakerAt(row: number): string | null;
  genderAt(row: number): string | null;
  categoryAt(row: number): string | null;
  activationAt(row: number): number | null;
  valenceAt(row: number): number | null;
  levelEdgesAt(row: number): LevelEdges | null;
  /** Null in shards of old releases. */
  timeAt(row: number): TileTime | null;
}

const PREFIX = 'undertone.';
const HASH_KEY = `${PREFIX}settingsHash`;
const SILENCE_KEY = `${PREFIX}silenceProfile`;
const FORMAT_KEY = `${PREFIX}shardFormat`;
const FORMAT = '1';
/** Upper edges of the lowest and the middle level of activation and valence. */
const edgeColumns = ['level_edge_low', 'level_edge_middle'] as const;
const timeColumns = { start_sec: 'startSec', end_sec: 'endSec' } as const;

/** @throws RangeError if a tile has another size than the settings say, which is a bug of the caller */
export function writeShard(rows: readonly ShardRow[], settings: FeatureSettings, options: ShardWriteOptions = {}): Uint8Array {
  const silence = options.silence ?? null;
  const columns: [Field, Data][] = [
    tileColumn(rows, tileSizeBytes(settings)),
    column(
      'utterance_id',
      rows.map((row) => row.utteranceId),
      new Utf8(),
    ),
    column(
      'version',
      rows.map((row) => row.version),
      new Utf8(),
    ),
    column(
      'tile_index',
      rows.map((row) => row.tileIndex),
      new Int32(),
    ),
    column(
      'corpus',
      rows.map((row) => row.corpus),
      new Utf8(),
    ),
    nullableColumn(
      'speaker',
      rows.map((row) => row.speaker),
      new Utf8(),
    ),
    nullableColumn(
      'gender',
      rows.map((row) => row.gender),
      new Utf8(),
    ),
    nullableColumn(
      'category',
      rows.map((row) => row.category),
      new Utf8(),
    ),
    nullableColumn(
      'activation',
      rows.map((row) => row.activation),
      new Float32(),
    ),
    nullableColumn(
      'valence',
      rows.map((row) => row.valence),
      new Float32(),
    ),
  ];
  // Written only if a row has them, so that shards without edges keep their bytes and names.
  if (rows.some(({ levelEdges }) => levelEdges)) {
    edgeColumns.forEach((name, edge) =>
      columns.push(
        nullableColumn(
          name,
          rows.map(({ levelEdges }) => levelEdges?.[edge] ?? null),
          new Float64(),
        ),
      ),
    );
  }
  if (rows.some(({ time }) => time)) {
    for (const [name, end] of Object.entries(timeColumns))
      columns.push(
        nullableColumn(
          name,
          rows.map(({ time }) => time?.[end] ?? null),
          new Float64(),
        ),
      );
  }
  const fields = columns.map(([field]) => field);
  const schema = new Schema(fields, metadataOf(settings, silence));
  const struct = makeData({ type: new Struct(fields), length: rows.length, nullCount: 0, children: columns.map(([, data]) => data) });
  return tableToIPC(new Table(schema, new RecordBatch(schema, struct)), 'file');
}

/** @throws RECORD_INVALID if the bytes are not a shard of this format */
export function readShard(bytes: Uint8Array): ShardFile {
  const table = openTable(bytes);
  const settings = settingsFrom(table.schema.metadata);
  const tileBytes = tileSizeBytes(settings);
  const tiles = tilesOf(table, tileBytes);
  const silence = table.schema.metadata.get(SILENCE_KEY);
  const edges = edgeColumns.map((name) => table.getChild(name));
  const [starts, ends] = Object.keys(timeColumns).map((name) => table.getChild(name));
  const reader = <T>(name: string) => {
    const vector = table.getChild(name);
    if (!vector) throw noShard(`no column ${name}`);
    return (row: number) => vector.get(row) as T;
  };
  return {
    settings,
    settingsHash: table.schema.metadata.get(HASH_KEY) ?? '',
    silence: silence ? (JSON.parse(silence) as SilenceProfile | null) : null,
    count: table.numRows,
    tiles,
    tileAt: (row) => tiles.subarray(row * tileBytes, (row + 1) * tileBytes),
    utteranceIdAt: reader<string>('utterance_id'),
    versionAt: reader<string>('version'),
    tileIndexAt: reader<number>('tile_index'),
    corpusAt: reader<string>('corpus'),
    speakerAt: reader<string | null>('speaker'),
    genderAt: reader<string | null>('gender'),
    categoryAt: reader<string | null>('category'),
    activationAt: reader<number | null>('activation'),
    valenceAt: reader<number | null>('valence'),
    levelEdgesAt: (row) => {
      const [low, middle] = edges.map((column) => column?.get(row) as number | null | undefined);
      return typeof low === 'number' && typeof middle === 'number' ? [low, middle] : null;
    },
    timeAt: (row) => {
      const [startSec, endSec] = [starts, ends].map((column) => column?.get(row) as number | null | undefined);
      return typeof startSec === 'number' && typeof endSec === 'number' ? { startSec, endSec } : null;
    },
  };
}

function tileColumn(rows: readonly ShardRow[], tileBytes: number): [Field, Data] {
  const type = new FixedSizeBinary(tileBytes);
  const values = new Uint8Array(rows.length * tileBytes);
  rows.forEach(({ tile, utteranceId }, row) => {
    if (tile.length !== tileBytes) throw new RangeError(`a tile of ${utteranceId} has ${tile.length} bytes, not ${tileBytes}`);
    values.set(tile, row * tileBytes);
  });
  return [new Field('tile', type, false), makeData({ type, length: rows.length, nullCount: 0, data: values })];
}

function column<T extends DataType>(name: string, values: T['TValue'][], type: T): [Field, Data] {
  return [new Field(name, type, false), dataOf(values, type)];
}

function nullableColumn<T extends DataType>(name: string, values: (T['TValue'] | null)[], type: T): [Field, Data] {
  return [new Field(name, type, true), dataOf(values, type)];
}

function dataOf<T extends DataType>(values: (T['TValue'] | null)[], type: T): Data {
  const data = vectorFromArray(values, type).data[0];
  return data ?? makeData({ type: type as DataType, length: 0, nullCount: 0 } as never);
}

function metadataOf(settings: FeatureSettings, silence: SilenceProfile | null): Map<string, string> {
  const entries = Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map([
    ...entries.map(([name, value]): [string, string] => [PREFIX + name, JSON.stringify(value)]),
    [FORMAT_KEY, FORMAT],
    [SILENCE_KEY, JSON.stringify(silence)],
    [HASH_KEY, settingsHash(settings, silence)],
  ]);
}

function settingsFrom(metadata: Map<string, string>): FeatureSettings {
  if (metadata.get(FORMAT_KEY) !== FORMAT) throw noShard(`its shard format is ${metadata.get(FORMAT_KEY) ?? 'not stated'}, not ${FORMAT}`);
  const own = [HASH_KEY, SILENCE_KEY, FORMAT_KEY];
  const entries = [...metadata].filter(([key]) => key.startsWith(PREFIX) && !own.includes(key));
  try {
    const settings = Object.fromEntries(entries.map(([key, text]) => [key.slice(PREFIX.length), JSON.parse(text) as unknown]));
    validateSettings(settings as unknown as FeatureSettings);
    return settings as unknown as FeatureSettings;
  } catch (cause) {
    throw noShard('its settings cannot be read', cause);
  }
}

function openTable(bytes: Uint8Array): Table {
  try {
    return tableFromIPC(bytes);
  } catch (cause) {
    throw noShard('not an Arrow IPC file', cause);
  }
}

/** The writer makes one batch, so the values of the column are one piece of the file. */
function tilesOf(table: Table, tileBytes: number): Uint8Array {
  const chunks = table.getChild('tile')?.data ?? [];
  if (table.numRows === 0) return new Uint8Array(0);
  const [chunk] = chunks;
  if (!chunk || chunks.length !== 1) throw noShard(`it has ${chunks.length} batches of tiles instead of one`);
  const values = chunk.values as Uint8Array;
  if (values.length < table.numRows * tileBytes) throw noShard('it has fewer tile bytes than its rows need');
  return values.subarray(0, table.numRows * tileBytes);
}

function noShard(what: string, cause?: unknown): PipelineError {
  return new PipelineError('RECORD_INVALID', `not a readable shard: ${what}`, { cause });
}
