/** The final checks of a settled pipeline: pixels, the newest model, and the objects in the store after a compaction. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { extractFeatures } from '#audio/extract-features.js';
import { defaultFeatureSettings, type FeatureSettings, featureSettings, settingsHash } from '#audio/feature-settings.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { decodersWith } from '#audio/feature-settings.js';
import { readShard } from '#audio/shard/shard-file.js';
import { chooseBackend } from '#tensor/backend.js';
import { loadModel } from '#model-files/checkpoint.js';
import { packageRoot } from '#service/package-root.js';
import { chooseServedModel } from '#serving/choose-model.js';
import { modelName } from '#serving/served-model.js';
import { findNewestModel, readWeights, type Checkpoint } from '#rounds/checkpoint-store.js';
import type { ChaosWorld } from './chaos-world.js';
import type { Difference } from './oracle.js';
import { SeededRandom } from './seeded-random.js';
import type { SettledPipeline } from './settled-pipeline.js';
import type { Truth } from './true-corpus.js';

/** The default feature settings of the services on this machine. */
export function usualSettings(): FeatureSettings {
  return featureSettings({ ...defaultFeatureSettings, decoders: decodersWith(chooseFfmpeg()) });
}

/** Compares the pixels in the shards with tiles of the original bytes, for a sample of recordings. */
export async function pixelDifferences(
  world: ChaosWorld,
  pipeline: SettledPipeline,
  { truths, sample, seed }: { truths: readonly Truth[]; sample: number; seed: number },
): Promise<Difference[]> {
  const found: Difference[] = [];
  const ffmpeg = chooseFfmpeg();
  const settings = usualSettings();
  const inView = new Map(pipeline.index.view().utterances.map((utterance) => [utterance.utteranceId, utterance]));
  const good = truths.filter(({ state }) => state.audio.code === null);
  for (const { object, state } of new SeededRandom(seed, 'sample').shuffled(good).slice(0, sample)) {
    const utterance = inView.get(object.utteranceId);
    if (!utterance) continue; // told already
    const shard = readShard((await world.store.get(utterance.shardObjectKey)).bytes);
    const { tiles, count } = await extractFeatures(state.audio.bytes, settings, { silence: 'none', ffmpeg });
    const rows = Array.from({ length: count }, (_, tile) => shard.tileAt(utterance.firstRow + tile));
    const isSame =
      shard.settingsHash === settingsHash(settings, null) &&
      shard.utteranceIdAt(utterance.firstRow) === object.utteranceId &&
      Buffer.concat(rows).equals(Buffer.from(tiles.buffer, tiles.byteOffset, tiles.byteLength));
    if (!isSame) found.push({ utteranceId: object.utteranceId, what: `has other pixels in shard ${utterance.shardId.slice(0, 8)}` });
  }
  return found;
}

/** Loads the newest finished model. @returns its checkpoint */
export async function loadNewestModel(world: ChaosWorld): Promise<Checkpoint> {
  const checkpoint = await findNewestModel(world.store);
  if (!checkpoint) throw new Error('no round was ever finished');
  await chooseBackend({ requested: 'cpu', hasGpu: false, webgpuDir: undefined, log: () => undefined });
  loadModel(checkpoint.model, await readWeights(world.store, checkpoint));
  return checkpoint;
}

/** Compares the scores in the topic with the live utterances: each has one score of its version by the served model, and no other has one. */
export async function scoreDifferences(world: ChaosWorld, pipeline: SettledPipeline): Promise<Difference[]> {
  const served = await chooseServedModel(world.store);
  const inView = new Map(pipeline.index.view().utterances.map((utterance) => [utterance.utteranceId, utterance]));
  const missing = [...inView.values()].flatMap(({ utteranceId, version }): Difference[] => {
    const score = pipeline.scores.get(utteranceId);
    if (score?.version !== version) return [{ utteranceId, what: `has the score of version ${score?.version ?? 'none'}, not ${version}` }];
    const isOfServed = served?.champion == null || modelName(score.model) === modelName(served.checkpoint);
    return isOfServed ? [] : [{ utteranceId, what: `has the score of ${modelName(score.model)}, which is not the champion` }];
  });
  const left = [...pipeline.scores.keys()].filter((utteranceId) => !pipeline.records.has(utteranceId));
  return [...missing, ...left.map((utteranceId) => ({ utteranceId, what: 'has a score, and was deleted' }))];
}

/** Runs the compaction command once no round reads shards that it deletes. @throws with its output */
export async function compact(world: ChaosWorld): Promise<void> {
  const command = spawn(process.execPath, [join(packageRoot, 'dist/apps/cli/src/main.js'), 'compact', '--grace', '0', '--wait'], {
    env: { ...process.env, ...world.directEnvironment, UNDERTONE_HOME: world.folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [command.stdout, command.stderr]) stream.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => command.once('close', resolve));
  if (code !== 0) throw new Error(`undertone compact ended with ${code}: ${printed}`);
}

/** Objects under shards/ without a live utterance or without an announcement. */
export async function unreferencedShards(world: ChaosWorld, pipeline: SettledPipeline): Promise<string[]> {
  const referenced = new Set(pipeline.index.view().utterances.map(({ shardObjectKey }) => shardObjectKey));
  const left: string[] = [];
  for await (const { key } of world.store.list('shards/')) if (!referenced.has(key)) left.push(key);
  return left;
}
