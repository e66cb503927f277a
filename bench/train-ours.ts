/**
 * Child process of the bench: runs our training step on native TensorFlow, bare or in the service's loop (shards on disk, sampler,
 * feeder, reports, checkpoints). Each input line is `{update, labelled, unlabelled, steps, loop}`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { featureSettings } from '#audio/feature-settings.js';
import { type ShardRow, writeShard } from '#audio/shard/shard-file.js';
import { emotionCategories, genders } from '#contracts/labels.js';
import { runLeaseKey } from '#contracts/object-keys.js';
import { chooseBackend } from '#tensor/backend.js';
import { createPaperModel } from '#paper/paper-model.js';
import { parseModelSettings } from '#paper/settings.js';
import { trainStep } from '#paper/train-step.js';
import { FolderStore } from '#storage/folder-store.js';
import { Lease } from '#storage/lease.js';
import { TileStore } from '#rounds/tile-store.js';
import { noEvents, plainRounds } from '#rounds/run-settings.js';
import { TrainingRun } from '#rounds/training-run.js';
import { viewOfShards } from '#index/view-of-shards.js';

interface Order {
  update: 'phases' | 'joint';
  labelled: number;
  unlabelled: number;
  steps: number;
  loop?: boolean;
}

export interface StepTimes {
  seconds: number[];
  peakMiB: number;
  /** Only for the loop: the time of one checkpoint, and the share of step time spent waiting for tiles. */
  checkpointSec?: number;
  waitShare?: number;
}

const SPEAKERS = 24;
/** Number of tiles in the loop's shards; a quarter is labelled. They take 67 MB. */
const SHARDS = 4;
const TILES_PER_SHARD = 512;
/** Warm-up steps, which fill Adam's slots and allocate memory. */
const WARM_UP_STEPS = 2;
const { name } = await chooseBackend({ requested: process.env['TF_BACKEND'] ?? 'node', hasGpu: false, log: () => undefined });

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'versions') console.log(JSON.stringify(`Node ${process.versions.node}, TensorFlow 2.15.1 by tfjs-${name}`));
  else {
    const order = JSON.parse(line) as Order;
    console.log(JSON.stringify(await (order.loop ? measureLoop(order) : measureStep(order))));
  }
}

async function measureStep({ update, labelled, unlabelled, steps }: Order): Promise<StepTimes> {
  const settings = parseModelSettings({ update, tasks: { speakers: SPEAKERS } });
  const model = createPaperModel(settings);
  const count = labelled + unlabelled;
  const labels = (classes: number) => Int32Array.from({ length: count }, (_, i) => (i < labelled ? i % classes : -1));
  const tiles = noise(count * settings.tile[0] * settings.tile[1], 0);
  const batch = { tiles, count, emotion: labels(4), gender: labels(2), speaker: labels(SPEAKERS) };
  for (let step = 0; step < WARM_UP_STEPS; step++) await trainStep(model, batch);
  const seconds: number[] = [];
  for (let step = 0; step < steps; step++) {
    const begun = performance.now();
    await trainStep(model, batch); // reading the losses waits for the step to finish
    seconds.push((performance.now() - begun) / 1000);
  }
  model.dispose();
  return { seconds, peakMiB: peakMiB() };
}

async function measureLoop({ update, labelled, unlabelled, steps }: Order): Promise<StepTimes> {
  const folder = mkdtempSync(join(tmpdir(), 'undertone-bench-'));
  for (let shard = 0; shard < SHARDS; shard++) writeFileSync(join(folder, `${shard}.arrow`), madeShard(shard));
  const store = new FolderStore(join(folder, 'out'));
  const lease = await Lease.acquire(store, runLeaseKey('bench'), 'bench', () => undefined);
  const tiles = new TileStore(store, null);
  const checkpointStep = WARM_UP_STEPS + Math.ceil(steps / 2);
  const reported: { step: number; stepMs: number; waitMs: number }[] = [];
  const run = new TrainingRun(
    {
      runId: 'bench',
      model: { update },
      batch: { labelled, unlabelled },
      ...plainRounds,
      roundSteps: WARM_UP_STEPS + steps + 1,
      reportEvery: 1,
      checkpointEvery: checkpointStep,
      statisticsTiles: 32,
      seed: 1,
      codeVersion: 'bench',
    },
    store,
    tiles,
    lease.epoch,
    { ...noEvents, stepTrained: (facts) => reported.push(facts) },
  );
  await run.runRound(viewOfShards(folder));
  await tiles.close();
  rmSync(folder, { recursive: true });
  const warm = reported.filter(({ step }) => step > WARM_UP_STEPS);
  // The time of a checkpoint is part of the next step's time.
  const plain = warm.filter(({ step }) => step !== checkpointStep + 1);
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const meanMs = sum(plain.map(({ stepMs }) => stepMs)) / plain.length;
  const withCheckpoint = warm.find(({ step }) => step === checkpointStep + 1);
  return {
    seconds: plain.map(({ stepMs }) => stepMs / 1000),
    peakMiB: peakMiB(),
    checkpointSec: Math.max(0, (withCheckpoint?.stepMs ?? meanMs) - meanMs) / 1000,
    waitShare: sum(plain.map(({ waitMs }) => waitMs)) / sum(plain.map(({ stepMs }) => stepMs)),
  };
}

function madeShard(shard: number): Uint8Array {
  const settings = featureSettings({});
  const size = settings.rows * settings.width;
  const rows = Array.from({ length: TILES_PER_SHARD }, (_, i): ShardRow => {
    const speaker = (shard * TILES_PER_SHARD + i) % SPEAKERS;
    return {
      tile: noise(size, shard * TILES_PER_SHARD + i),
      utteranceId: `made/${shard}-${i}`,
      version: 'v',
      tileIndex: 0,
      corpus: 'made',
      speaker: `made/${speaker}`,
      gender: genders[speaker % 2] ?? null,
      category: i % 4 === 0 ? (emotionCategories[(i / 4) % 4] ?? null) : null,
      activation: null,
      valence: null,
    };
  });
  return writeShard(rows, settings);
}

function noise(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (Math.imul(i + seed * 7919, 2_654_435_761) >>> 24) & 255);
}

function peakMiB(): number {
  return process.resourceUsage().maxRSS / 1024;
}
