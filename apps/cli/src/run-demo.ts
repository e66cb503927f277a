/** Runs the demo: puts corpora into the bucket, waits until every stage is done, and collects the results. */
import { readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CheckpointSaved } from '#contracts/checkpoints.js';
import { corporaPrefix } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { topics } from '#contracts/topics.js';
import { isAudioPath } from '#corpora/audio-paths.js';
import { type CorpusFolder, sampleCorpora } from '#experiments/sample-shards.js';
import type { PipelineOverview } from '#overview/pipeline-overview.js';
import { packageRoot } from '#service/package-root.js';
import type { ObjectStore } from '#storage/object-store.js';
import { topicsExist } from '#streaming/ensure-topics.js';
import { followedOverview, type Connections } from './connect.js';
import { LiveProgress, progressLines } from './live-progress.js';
import { asBytes } from './human-units.js';
import { putFolder } from './put-folder.js';
import { collectResults, reportedEvaluations, type Results } from './results.js';
import type { Stack } from './run-stack.js';

const demoModelFile = join(packageRoot, 'samples', 'model.json');

/** A narrow network and short waits, because the samples are small and a person is watching. */
export const demoDefaults: Record<string, string> = {
  MODEL_SETTINGS_FILE: demoModelFile,
  RUN_NAME: 'demo',
  ROUND_STEPS: '240',
  ROUND_QUIET: '6',
  CHECKPOINT_STEPS: '120',
  BATCH_LABELLED: '12',
  BATCH_UNLABELLED: '4',
  SHARD_TILES: '256',
  SHARD_MAX_AGE: '2',
  RECONCILE_INTERVAL: '15',
};

/** For people's own recordings: the recipe that learns them, and short waits. */
export const ownCorporaDefaults: Record<string, string> = {
  PRESET: 'recommended',
  RUN_NAME: 'demo',
  ROUND_STEPS: '800',
  ROUND_QUIET: '6',
  SHARD_MAX_AGE: '5',
  RECONCILE_INTERVAL: '15',
};

export interface DemoCorpora {
  labelled?: string;
  unlabelled?: string;
}

/** Sample corpora with synthetic voices: the acted one, and most of the unlabelled one. */
const demoCorpora = sampleCorpora.filter(({ corpus }) => corpus !== 'acted-faint');
const pollMs = 400;
/** The demo gives up after a service crashed this often. */
const restartLimit = 5;

export interface DemoOutcome {
  results: Results;
  evaluations: ReturnType<typeof reportedEvaluations>;
}

export async function runDemo(
  stack: Stack,
  connections: Connections,
  options: { corpora: DemoCorpora; say: (line: string) => void; startedAtMs: number },
): Promise<DemoOutcome> {
  const { say, startedAtMs } = options;
  const wallSec: Record<string, number> = { setup: secondsSince(startedAtMs) };
  const uploadedAt = performance.now();
  await connections.store.ensureBucket();
  for (const { corpus, folder } of corporaOf(options.corpora)) {
    const put = await putFolder(connections.store, folder, { corpus });
    say(`${corpus}: ${put.files} files, ${asBytes(put.bytes)} in the bucket  ${secondsSince(uploadedAt)} s`);
  }
  wallSec['upload'] = secondsSince(uploadedAt);
  const objects = await countObjects(connections.store);
  if (objects.all === objects.notAudio)
    throw new PipelineError(
      'CONFIG_INVALID',
      'The folders hold no audio that ingest takes. Name a folder with recordings (--labelled DIR, --unlabelled DIR).',
    );
  const { overview, follower } = followedOverview(connections);
  await waitForTopics(stack, connections);
  await follower.start();
  const checkpoint = await watch(stack, overview, { utterances: objects.all - objects.notAudio, wallSec, processingAt: uploadedAt });
  await follower.stop();
  wallSec['total'] = secondsSince(startedAtMs);
  return {
    results: collectResults({ overview, checkpoint, objects, wallSec, modelSettings: modelSettingsFrom(stack.environment) }),
    evaluations: reportedEvaluations(overview, checkpoint),
  };
}

function modelSettingsFrom({ MODEL_SETTINGS_FILE: file, PRESET: preset }: Record<string, string>): unknown {
  return { ...(preset && { preset }), ...(file && (JSON.parse(readFileSync(file, 'utf8')) as object)) };
}

function corporaOf({ labelled, unlabelled }: DemoCorpora): readonly CorpusFolder[] {
  if (!labelled && !unlabelled) return demoCorpora;
  const named = Object.entries({ labelled, unlabelled }).flatMap(([kind, folder]) =>
    folder ? [{ kind, folder, name: corpusName(folder) }] : [],
  );
  const isShared = named.length === 2 && named[0]?.name === named[1]?.name;
  return named.map(({ kind, folder, name }) => ({ corpus: isShared ? `${name}-${kind}` : name, folder }));
}

/** The folder's own name, without the characters that the name of a corpus may not have. */
const corpusName = (folder: string): string =>
  basename(resolve(folder))
    .replaceAll(/[^\w.-]/g, '-')
    .replace(/^[.-]+/, '') || 'corpus';

async function countObjects(store: ObjectStore): Promise<{ all: number; notAudio: number }> {
  const counts = { all: 0, notAudio: 0 };
  for await (const { key } of store.list(corporaPrefix)) {
    counts.all++;
    if (!isAudioPath(key)) counts.notAudio++;
  }
  return counts;
}

/** Waits until the services have created the topics. */
async function waitForTopics(stack: Stack, connections: Connections): Promise<void> {
  while (!(await topicsExist(connections.kafka, topics, connections.topicPrefix))) {
    refuseCrashLoops(stack);
    await sleep(pollMs);
  }
}

/** Shows progress until a model that was trained on everything has been evaluated. */
async function watch(
  stack: Stack,
  overview: PipelineOverview,
  facts: { utterances: number; wallSec: Record<string, number>; processingAt: number },
): Promise<CheckpointSaved> {
  const { wallSec, processingAt } = facts;
  const progress = new LiveProgress(process.stdout);
  for (;;) {
    refuseCrashLoops(stack);
    const snapshot = overview.snapshot();
    progress.show(progressLines(snapshot, { utterances: facts.utterances }, stack.states));
    const { utterances, inFlight, inShards, deadLettered } = snapshot.reconciliation;
    const isProcessed = utterances >= facts.utterances && inFlight === 0;
    if (isProcessed && inShards === 0) {
      progress.clear();
      throw new PipelineError(
        'CONFIG_INVALID',
        `All ${deadLettered} files were dead-lettered, so there is nothing to train on: ${JSON.stringify(snapshot.deadLetters.byCode)}. docs/operations.md explains the codes.`,
      );
    }
    if (isProcessed && overview.trainable === 0) {
      progress.clear();
      throw new PipelineError(
        'CONFIG_INVALID',
        `All ${inShards} utterances are held out (${JSON.stringify(snapshot.utterances.bySplit)}), so there is nothing to train on. Give some speakers the split "train" in manifest.csv, or add more speakers.`,
      );
    }
    if (isProcessed) wallSec['ingestAndFeatures'] ??= secondsSince(processingAt);
    const { checkpoint, training } = snapshot;
    if (isProcessed && checkpoint && checkpoint.viewUtterances === inShards) {
      wallSec['training'] = Number((training.finished?.wallSec ?? 0).toFixed(1));
      const evaluated = new Set(overview.evaluationsOf(checkpoint.runId, checkpoint.step).map((each) => each.task));
      if (checkpoint.predictedTasks.every((task) => evaluated.has(task))) {
        progress.clear();
        return checkpoint;
      }
    }
    await sleep(pollMs);
  }
}

/** @throws PipelineError SETUP_FAILED with the end of the service's log */
function refuseCrashLoops(stack: Stack): void {
  const crashed = stack.states.find((child) => child.restarts >= restartLimit);
  if (!crashed) return;
  const lastLines = readFileSync(crashed.logFile, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
  throw new PipelineError(
    'SETUP_FAILED',
    `${crashed.name} ended ${crashed.restarts} times (${crashed.lastExit}). Its log, ${crashed.logFile}, ends:\n${lastLines}`,
  );
}

const secondsSince = (startedAtMs: number): number => Number(((performance.now() - startedAtMs) / 1000).toFixed(1));
