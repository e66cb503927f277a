/**
 * Makes a view of shard files in a folder, where no topics say which versions are live: the newest file of each utterance
 * counts. `undertone export` writes two files beside the shards. utterance-splits.json has the splits of single utterances,
 * splits.json those of speakers, as ingest placed them. An utterance in neither file gets its split by the stable hash of
 * corpus and speaker, which ingest uses for large corpora.
 *
 * Does not notice utterances that were erased or relabelled after the files were written.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { FeatureSettings } from '#audio/feature-settings.js';
import { readShard, type ShardFile } from '#audio/shard/shard-file.js';
import { labelsSchema, type Split, splits as splitNames, streamOf } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { hashedSplit, isWithheld } from '#corpora/splits.js';
import { sha256Hex } from '#storage/object-store.js';
import { type TrainingView, type ViewUtterance, viewOf } from './training-index.js';

export interface FolderView extends TrainingView {
  /** [rows, frames] of every tile. */
  tileShape: [number, number];
  /** Feature settings of every shard. */
  features: FeatureSettings;
}

/** Maps each speaker, with the corpus before the name, to a split. */
export const splitsFile = 'splits.json';
/** Maps utterance ids to splits, for utterances whose split differs from that in splits.json. */
export const utteranceSplitsFile = 'utterance-splits.json';

/** Splits that the caller chose win over splits of utterances, and those over splits of speakers. */
interface Splits {
  chosen: ReadonlyMap<string, Split>;
  utterances: ReadonlyMap<string, Split>;
  speakers: ReadonlyMap<string, Split>;
}

/**
 * @param chosen splits of speakers, with the corpus before the name; they win over all others
 * @throws PipelineError CONFIG_INVALID for a folder without shards, or with shards of different feature settings; RECORD_INVALID
 */
export function viewOfShards(folder: string, chosen: ReadonlyMap<string, Split> = new Map()): FolderView {
  const paths = shardPaths(folder);
  const splits = { chosen, utterances: readSplits(join(folder, utteranceSplitsFile)), speakers: readSplits(join(folder, splitsFile)) };
  const utterances = new Map<string, ViewUtterance>();
  let settings: { hash: string; path: string; features: FeatureSettings } | undefined;
  for (const path of paths) {
    const bytes = readFileSync(path);
    const shard = readShard(bytes);
    settings ??= { hash: shard.settingsHash, path, features: shard.settings };
    if (shard.settingsHash !== settings.hash) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `${path} has other feature settings than ${settings.path}. Give a folder whose shards all have the same settings.`,
      );
    }
    for (const utterance of utterancesOf(shard, { shardId: sha256Hex(bytes), path, splits }))
      utterances.set(utterance.utteranceId, utterance);
  }
  const ordered = [...utterances.values()].sort((a, b) => (a.utteranceId < b.utteranceId ? -1 : 1));
  const { hash, features } = settings!; // there is a shard at least
  return { ...viewOf(hash, ordered), tileShape: [features.rows, features.width], features };
}

function readSplits(path: string): Map<string, Split> {
  if (!existsSync(path)) return new Map();
  const parsed = z.record(z.string(), z.enum(splitNames)).safeParse(JSON.parse(readFileSync(path, 'utf8')));
  if (!parsed.success)
    throw new PipelineError(
      'CONFIG_INVALID',
      `${path}: ${parsed.error.issues[0]?.path.join('.')} must be one of ${splitNames.join(', ')}. Correct the file, or export the shards again.`,
    );
  return new Map(Object.entries(parsed.data));
}

/** Oldest first. */
function shardPaths(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new PipelineError('CONFIG_INVALID', `${folder} is not a folder. Give a folder with shard files (*.arrow).`);
  const found = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.arrow'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, writtenAt: statSync(path).mtimeMs }));
  if (found.length === 0)
    throw new PipelineError(
      'CONFIG_INVALID',
      `${folder} holds no shards (*.arrow). Give a folder that undertone export --format shards wrote.`,
    );
  return found.sort((a, b) => a.writtenAt - b.writtenAt || (a.path < b.path ? -1 : 1)).map(({ path }) => path);
}

/** The rows of an utterance follow one another. */
function* utterancesOf(
  shard: ShardFile,
  { shardId, path, splits }: { shardId: string; path: string; splits: Splits },
): Generator<ViewUtterance> {
  for (let firstRow = 0; firstRow < shard.count; ) {
    const utteranceId = shard.utteranceIdAt(firstRow);
    let pastRow = firstRow + 1;
    while (pastRow < shard.count && shard.utteranceIdAt(pastRow) === utteranceId) pastRow++;
    const labels = labelsSchema.parse({
      speakerId: shard.speakerAt(firstRow) ?? undefined,
      gender: shard.genderAt(firstRow) ?? undefined,
      category: shard.categoryAt(firstRow) ?? undefined,
      activation: shard.activationAt(firstRow) ?? undefined,
      valence: shard.valenceAt(firstRow) ?? undefined,
      levelEdges: shard.levelEdgesAt(firstRow) ?? undefined,
    });
    const corpus = shard.corpusAt(firstRow);
    const { speakerId = '' } = labels;
    const known = splits.chosen.get(speakerId) ?? splits.utterances.get(utteranceId) ?? splits.speakers.get(speakerId);
    const split = known ?? hashedSplit(corpus, labels.speakerId?.slice(corpus.length + 1));
    yield {
      utteranceId,
      version: shard.versionAt(firstRow),
      objectKey: utteranceId,
      stream: streamOf(labels),
      labels,
      split,
      withheld: isWithheld(split, labels.speakerId, utteranceId),
      shardId,
      shardObjectKey: path,
      firstRow,
      tileCount: pastRow - firstRow,
    };
    firstRow = pastRow;
  }
}
