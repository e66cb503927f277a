/**
 * Makes shards of corpora in folders within this process, as ingest and features would, but without services. An experiment on
 * the sample corpora needs no running pipeline.
 *
 * Delivery: the folder's name depends on the feature settings and the audio. The folder gets its name when all shards are
 * written. The same files give the same bytes.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { extractFeatures } from '#audio/extract-features.js';
import { canonicalJson, type FeatureSettings } from '#audio/feature-settings.js';
import { type ShardRow, writeShard } from '#audio/shard/shard-file.js';
import { utteranceIdOf } from '#contracts/object-keys.js';
import { isAudioPath } from '#corpora/audio-paths.js';
import { leftOutOf } from '#corpora/takes.js';
import type { CorpusAnnotations, CorpusReader } from '#corpora/corpus-reader.js';
import { type CorpusOptions, parseCorpusOptions } from '#corpora/corpus-options.js';
import { annotates, optionsPath, readerNamed, recogniseReaders } from '#corpora/corpus-readers.js';
import { carriedEdges } from '#corpora/levels.js';
import { readAnnotations } from '#corpora/read-annotations.js';
import { packageRoot } from '#service/package-root.js';

export interface CorpusFolder {
  corpus: string;
  folder: string;
}

export const sampleCorpora: readonly CorpusFolder[] = ['acted', 'acted-faint', 'librispeech-mini'].map((corpus) => ({
  corpus,
  folder: join(packageRoot, 'samples', corpus),
}));

const tilesPerShard = 512;

/** @returns a folder of shards, below `cache` @param onMake called when the shards are absent and are made now */
export async function shardsOf(
  corpora: readonly CorpusFolder[],
  settings: FeatureSettings,
  { cache, onMake }: { cache: string; onMake: () => void },
): Promise<string> {
  const found = corpora.map(({ corpus, folder }) => ({ corpus, folder, paths: pathsIn(folder) }));
  const digest = createHash('sha256').update(canonicalJson({ ...settings }));
  for (const { corpus, folder, paths } of found)
    for (const path of paths) digest.update(`${corpus}/${path}`).update(readFileSync(join(folder, path)));
  const made = join(cache, `shards-${digest.digest('hex').slice(0, 16)}`);
  if (existsSync(made)) return made;
  onMake();
  const draft = `${made}.${process.pid}.part`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  let rows: ShardRow[] = [];
  let files = 0;
  const flush = (): void => {
    if (rows.length > 0) writeFileSync(join(draft, `tiles-${String(files++).padStart(6, '0')}.arrow`), writeShard(rows, settings));
    rows = [];
  };
  for (const each of found)
    for await (const ofUtterance of rowsOf(each, settings)) {
      if (rows.length >= tilesPerShard) flush();
      rows.push(...ofUtterance);
    }
  flush();
  try {
    renameSync(draft, made);
  } catch (error) {
    // Another process was faster. It wrote the same bytes.
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(made)) throw error;
  }
  return made;
}

function pathsIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

async function* rowsOf(
  { corpus, folder, paths }: CorpusFolder & { paths: readonly string[] },
  settings: FeatureSettings,
): AsyncGenerator<ShardRow[]> {
  const { annotations, silence, levels, leftOut } = annotationsOf(folder, paths);
  for (const path of paths.filter((each) => isAudioPath(each) && !leftOut.has(each))) {
    const bytes = readFileSync(join(folder, path));
    const { labels } = annotations.annotationOf(path);
    const version = createHash('sha256').update(bytes).update(canonicalJson(labels)).digest('hex').slice(0, 16);
    const { tiles, count } = await extractFeatures(bytes, settings, { silence, ffmpeg: null });
    const size = tiles.length / count;
    yield Array.from({ length: count }, (_, tileIndex) => ({
      tile: tiles.slice(tileIndex * size, (tileIndex + 1) * size),
      utteranceId: utteranceIdOf(corpus, path),
      version,
      tileIndex,
      corpus,
      // Two corpora may both have a speaker "1". So the corpus's name becomes a prefix, as in ingest.
      speaker: labels.speakerId === undefined ? null : `${corpus}/${labels.speakerId}`,
      gender: labels.gender ?? null,
      category: labels.category ?? null,
      activation: labels.activation ?? null,
      valence: labels.valence ?? null,
      levelEdges: carriedEdges(corpus, levels),
    }));
  }
}

function annotationsOf(
  folder: string,
  paths: readonly string[],
): { annotations: CorpusAnnotations; leftOut: ReadonlySet<string> } & Pick<CorpusReader, 'silence' | 'levels'> {
  const read = (path: string): Uint8Array => readFileSync(join(folder, path));
  const options: CorpusOptions = paths.includes(optionsPath) ? parseCorpusOptions(join(folder, optionsPath), read(optionsPath)) : {};
  const [recognised] = recogniseReaders(paths);
  const reader = (options.reader === undefined ? undefined : readerNamed(options.reader)) ?? recognised!;
  const files = paths.filter((path) => annotates(reader, path)).map((path): [string, Uint8Array] => [path, read(path)]);
  const annotations = readAnnotations(reader, new Map(files), options);
  const recordings = paths.filter(isAudioPath);
  annotations.rows?.know(recordings);
  const leftOut = new Set(leftOutOf(reader, recordings).map(([path]) => path));
  return { annotations, leftOut, silence: options.silence ?? reader.silence, levels: reader.levels };
}
