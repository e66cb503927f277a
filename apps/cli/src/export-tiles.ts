/**
 * Writes live tiles as files: one NumPy array with a table, WebDataset tar files, or shards (Arrow) for `train`. Live tiles are
 * those that the trainer would take: the current version of each utterance, under the newest feature settings.
 *
 * Delivery: the folder gets its final name when everything is written. The same tiles give the same bytes.
 */
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync, type WriteStream, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { pack, type Pack } from 'tar-stream';
import type { FeatureSettings } from '#audio/feature-settings.js';
import { npyHeader, writeNpy } from '#audio/shard/npy.js';
import { type ShardRow, writeShard } from '#audio/shard/shard-file.js';
import type { LevelEdges } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ObjectStore } from '#storage/object-store.js';
import { retrying } from '#streaming/retry.js';
import { openAnnounced } from '#index/announced-shard.js';
import type { TrainingView, ViewUtterance } from '#index/training-index.js';
import { splitsFile, utteranceSplitsFile } from '#index/view-of-shards.js';
import { csvField } from '#corpora/csv-field.js';

export const exportFormats = ['webdataset', 'npy', 'shards'] as const;
export type ExportFormat = (typeof exportFormats)[number];

export interface ExportOptions {
  format: ExportFormat;
  /** The folder to create. It must not exist. */
  folder: string;
  /** Most tiles in one tar file or shard. */
  tilesPerFile: number;
  onProgress?: (done: number, of: number) => void;
}

export interface ExportOutcome {
  tiles: number;
  utterances: number;
  sizeBytes: number;
}

/** A row of the table, or the JSON beside a tile. Values are as in shards: a speaker is prefixed with its corpus. */
interface TileRecord {
  utterance_id: string;
  version: string;
  tile_index: number;
  corpus: string;
  stream: string;
  split: string;
  withheld: boolean;
  speaker: string | null;
  gender: string | null;
  category: string | null;
  activation: number | null;
  valence: number | null;
}

interface LiveTile {
  record: TileRecord;
  /** [rows, width] */
  pixels: Uint8Array;
  settings: FeatureSettings;
  levelEdges: LevelEdges | undefined;
}

interface TileWriter {
  write(tile: LiveTile): Promise<void>;
  close(): Promise<void>;
}

/** @throws PipelineError CONFIG_INVALID if the folder exists or no tile is live, OBJECT_GONE, OBJECT_CHECKSUM_MISMATCH */
export async function exportTiles(store: Pick<ObjectStore, 'get'>, view: TrainingView, options: ExportOptions): Promise<ExportOutcome> {
  const { folder, format, onProgress } = options;
  const count = view.utterances.reduce((sum, { tileCount }) => sum + tileCount, 0);
  if (count === 0)
    throw new PipelineError(
      'CONFIG_INVALID',
      'No live tiles match, so there is nothing to export. `./undertone status` prints how many tiles there are.',
    );
  if (existsSync(folder)) throw new PipelineError('CONFIG_INVALID', `${folder} exists already. Name another folder, or remove it.`);
  const draft = `${folder}.part`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  const written: CountedFile[] = [];
  const open = (name: string): CountedFile => {
    const file = new CountedFile(join(draft, name));
    written.push(file);
    return file;
  };
  const writer = writerFor(options, { open, count });
  let done = 0;
  let settings: FeatureSettings | undefined;
  for await (const tile of liveTiles(store, view.utterances)) {
    settings = tile.settings;
    await writer.write(tile);
    onProgress?.(++done, count);
  }
  await writer.close();
  const about = {
    format,
    tiles: count,
    utterances: view.utterances.length,
    viewDigest: view.digest,
    settingsHash: view.settingsHash,
    settings,
  };
  writeFileSync(join(draft, 'export.json'), `${JSON.stringify(about, null, 2)}\n`);
  renameSync(draft, folder);
  return { tiles: count, utterances: view.utterances.length, sizeBytes: written.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

function writerFor({ format, tilesPerFile }: ExportOptions, { open, count }: { open: OpenFile; count: number }): TileWriter {
  switch (format) {
    case 'npy':
      return new NpyWriter(open, count);
    case 'webdataset':
      return new WebDatasetWriter(open, tilesPerFile);
    case 'shards':
      return new ShardWriter(open, tilesPerFile);
  }
}

/** Yields the tiles shard by shard, so that memory holds one shard at a time. */
async function* liveTiles(store: Pick<ObjectStore, 'get'>, utterances: readonly ViewUtterance[]): AsyncGenerator<LiveTile> {
  const byShard = Map.groupBy(utterances, ({ shardId }) => shardId);
  for (const [shardId, ofShard] of [...byShard].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const objectKey = ofShard[0]?.shardObjectKey ?? '';
    const { bytes } = await retrying(() => store.get(objectKey));
    const shard = openAnnounced(bytes, shardId, ofShard);
    if (!shard)
      throw new PipelineError(
        'OBJECT_CHECKSUM_MISMATCH',
        `${objectKey} differs from the shard that features announced. Run \`./undertone verify\`, and export again.`,
      );
    for (const utterance of ofShard.sort((a, b) => a.firstRow - b.firstRow)) {
      for (let row = utterance.firstRow; row < utterance.firstRow + utterance.tileCount; row++) {
        const { labels, stream, split, withheld, utteranceId, version } = utterance;
        const record = {
          utterance_id: utteranceId,
          version,
          tile_index: shard.tileIndexAt(row),
          corpus: shard.corpusAt(row),
          stream,
          split,
          withheld,
          speaker: labels.speakerId ?? null,
          gender: labels.gender ?? null,
          category: labels.category ?? null,
          activation: labels.activation ?? null,
          valence: labels.valence ?? null,
        };
        yield { record, pixels: shard.tileAt(row), settings: shard.settings, levelEdges: labels.levelEdges };
      }
    }
  }
}

/** Writes a file piece by piece, and waits for the disk. */
class CountedFile {
  sizeBytes = 0;
  private readonly stream: WriteStream;

  constructor(path: string) {
    this.stream = createWriteStream(path);
  }

  async write(bytes: Uint8Array | string): Promise<void> {
    const piece = Buffer.from(bytes as Uint8Array);
    this.sizeBytes += piece.length;
    if (!this.stream.write(piece)) await once(this.stream, 'drain');
  }

  async close(): Promise<void> {
    this.stream.end();
    await finished(this.stream);
  }
}

type OpenFile = (name: string) => CountedFile;

/** Writes tiles.npy, uint8 [tiles, rows, width], and tiles.csv with one row for each tile, in the same order. */
class NpyWriter implements TileWriter {
  private readonly array: CountedFile;
  private readonly table: CountedFile;
  private begun = false;

  constructor(
    open: OpenFile,
    private readonly count: number,
  ) {
    this.array = open('tiles.npy');
    this.table = open('tiles.csv');
  }

  async write({ record, pixels, settings }: LiveTile): Promise<void> {
    if (!this.begun) {
      await this.array.write(npyHeader([this.count, settings.rows, settings.width]));
      await this.table.write(`${Object.keys(record).join(',')}\n`);
    }
    this.begun = true;
    await this.array.write(pixels);
    await this.table.write(`${Object.values(record).map(csvField).join(',')}\n`);
  }

  async close(): Promise<void> {
    await Promise.all([this.array.close(), this.table.close()]);
  }
}

/** Writes tiles-000000.tar and so on. Each tile is NUMBER.npy, uint8 [rows, width], and NUMBER.json. */
class WebDatasetWriter implements TileWriter {
  private tar: { pack: Pack; written: Promise<void> } | null = null;
  private count = 0;

  constructor(
    private readonly open: OpenFile,
    private readonly tilesPerFile: number,
  ) {}

  async write({ record, pixels, settings }: LiveTile): Promise<void> {
    if (this.count % this.tilesPerFile === 0) {
      await this.close();
      this.tar = this.begin(this.open(`tiles-${String(this.count / this.tilesPerFile).padStart(6, '0')}.tar`));
    }
    const key = String(this.count++).padStart(9, '0');
    await this.add(`${key}.npy`, writeNpy(pixels, [settings.rows, settings.width]));
    await this.add(`${key}.json`, Buffer.from(JSON.stringify(record)));
  }

  async close(): Promise<void> {
    this.tar?.pack.finalize();
    await this.tar?.written;
    this.tar = null;
  }

  private begin(file: CountedFile): NonNullable<typeof this.tar> {
    const tar = pack();
    const written = (async () => {
      for await (const piece of tar) await file.write(piece as Uint8Array);
      await file.close();
    })();
    return { pack: tar, written };
  }

  private async add(name: string, bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.tar?.pack.entry({ name, mtime: new Date(0) }, Buffer.from(bytes), (error) => (error ? reject(error) : resolve()));
    });
  }
}

/**
 * Writes tiles-000000.arrow and so on, each with whole utterances and their present labels. splits.json holds the split of each
 * speaker. utterance-splits.json holds the utterances without a speaker, or with another split than their speaker's.
 */
class ShardWriter implements TileWriter {
  private rows: ShardRow[] = [];
  private settings: FeatureSettings | null = null;
  private files = 0;
  private readonly splits = new Map<string, string>();
  private readonly utteranceSplits = new Map<string, string>();

  constructor(
    private readonly open: OpenFile,
    private readonly tilesPerFile: number,
  ) {}

  async write({ record, pixels, settings, levelEdges }: LiveTile): Promise<void> {
    if (this.rows.length >= this.tilesPerFile && record.tile_index === 0) await this.flush();
    this.settings = settings;
    const { utterance_id: utteranceId, tile_index: tileIndex, version, corpus, speaker, gender, category, activation, valence } = record;
    this.rows.push({ tile: pixels, utteranceId, version, tileIndex, corpus, speaker, gender, category, activation, valence, levelEdges });
    if (speaker !== null && !this.splits.has(speaker)) this.splits.set(speaker, record.split);
    if (speaker === null || this.splits.get(speaker) !== record.split) this.utteranceSplits.set(utteranceId, record.split);
  }

  async close(): Promise<void> {
    await this.flush();
    await this.writeSplits(splitsFile, this.splits);
    await this.writeSplits(utteranceSplitsFile, this.utteranceSplits);
  }

  private async writeSplits(name: string, splits: ReadonlyMap<string, string>): Promise<void> {
    const file = this.open(name);
    await file.write(`${JSON.stringify(Object.fromEntries([...splits].sort()), null, 2)}\n`);
    await file.close();
  }

  private async flush(): Promise<void> {
    if (!this.settings || this.rows.length === 0) return;
    const file = this.open(`tiles-${String(this.files++).padStart(6, '0')}.arrow`);
    await file.write(writeShard(this.rows, this.settings));
    await file.close();
    this.rows = [];
  }
}
