/**
 * Loads an experiment's file and tiles and plans its jobs. The parent process and the workers get the same plan. The tiles lie in
 * a folder or a bucket. For a bucket, the view of live tiles is published beside the file for every trainer that takes jobs.
 */
import { canonicalJson, featureSettings, type FeatureSettings } from '#audio/feature-settings.js';
import { readShard } from '#audio/shard/shard-file.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from '#storage/object-store.js';
import type { TrainingView } from '#index/training-index.js';
import { viewOfShards } from '#index/view-of-shards.js';
import { corpusOf } from '#contracts/object-keys.js';
import { findGzipJson, putGzipJson } from '#storage/gzip-json.js';
import { type ExperimentData, experimentData } from './experiment-data.js';
import type { ExperimentFile } from './experiment-file.js';
import { type ExperimentPlan, planExperiment } from './plan-experiment.js';

export interface LoadedExperiment {
  file: ExperimentFile;
  data: ExperimentData;
  plan: ExperimentPlan;
}

/** The tiles and the settings that made them. */
export interface TileSource {
  view: TrainingView;
  /** The distinct feature settings of the shards. */
  features: FeatureSettings[];
}

const publishedKey = 'published.json.gz';

interface Published {
  file: ExperimentFile;
  search: boolean;
  source: TileSource;
}

/** @throws PipelineError CONFIG_INVALID, SETTINGS_INVALID */
export function loadExperiment(file: ExperimentFile, source: TileSource, { search }: { search: boolean }): LoadedExperiment {
  const { view, features } = source;
  for (const each of features) {
    refuseOtherFeatures(file, each);
    refuseMelRows(file, each);
  }
  const [first] = features;
  if (!first)
    throw new PipelineError(
      'CONFIG_INVALID',
      'The shards hold no tiles, so there is nothing to learn: run undertone put with a corpus first',
    );
  const data = experimentData(file, view, [first.rows, first.width]);
  return { file, data, plan: planExperiment(file, data, { search }) };
}

/** @param folder of shards @throws PipelineError CONFIG_INVALID */
export function tilesOfFolder(folder: string): TileSource {
  const { features, tileShape: _tileShape, ...view } = viewOfShards(folder);
  return { view, features: [features] };
}

/** @param view of shards in the store; one shard of each corpus is opened @throws PipelineError OBJECT_GONE */
export async function tilesOfBucket(store: Objects, view: TrainingView): Promise<TileSource> {
  const first = new Map(view.utterances.map((utterance) => [corpusOf(utterance.utteranceId), utterance.shardObjectKey]));
  const features: FeatureSettings[] = [];
  for (const key of new Set(first.values())) features.push(readShard((await store.get(key)).bytes).settings);
  return { view, features };
}

/** Publishes the file and the view for the trainers that take jobs of the experiment. @param store of the experiment */
export async function publishExperiment(store: Objects, published: Published): Promise<void> {
  await putGzipJson(store, publishedKey, JSON.stringify(published));
}

/** @param store of the experiment @throws PipelineError CONFIG_INVALID */
export async function loadPublished(store: Objects): Promise<LoadedExperiment> {
  const json = await findGzipJson(store, publishedKey);
  if (json === null)
    throw new PipelineError('CONFIG_INVALID', `${publishedKey} of the experiment no longer exists: start the experiment again`);
  const { file, search, source } = JSON.parse(json) as Published;
  return loadExperiment(file, source, { search });
}

/** The feature settings that shards of this experiment must have. @throws PipelineError SETTINGS_INVALID */
export const featuresOf = (file: ExperimentFile): FeatureSettings => featureSettings(file.features);

function refuseOtherFeatures({ features }: ExperimentFile, have: FeatureSettings): void {
  for (const [name, wanted] of Object.entries(features)) {
    const found = (have as unknown as Record<string, unknown>)[name];
    if (canonicalJson(found) === canonicalJson(wanted)) continue;
    throw new PipelineError(
      'CONFIG_INVALID',
      `The shards were made with ${name} ${JSON.stringify(found)} and the experiment asks for ${JSON.stringify(wanted)}: ` +
        `make them with it (docs/operations.md, feature settings), or change features in the file`,
    );
  }
}

/** Vocal tract warping needs rows of equal width in Hz. */
function refuseMelRows({ rows }: ExperimentFile, { scale }: FeatureSettings): void {
  const warping = rows.find(({ system, quotedOnly }) => system === 'cnn-lstm' && !quotedOnly);
  if (scale === 'mel' && warping)
    throw new PipelineError(
      'CONFIG_INVALID',
      `rows.${warping.id}: system cnn-lstm needs tiles of scale linear, and the shards have mel: set scale: linear under features`,
    );
}
