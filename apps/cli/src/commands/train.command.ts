/** `undertone train`: trains one run on a folder of shards, without Kafka and without a bucket. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, Option } from 'nest-commander';
import { canonicalJson } from '#audio/feature-settings.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import { runLeaseKey } from '#contracts/object-keys.js';
import { carriesTarget } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ModelSettings } from '#paper/settings.js';
import { codeVersion } from '#service/package-root.js';
import { FolderStore } from '#storage/folder-store.js';
import type { Checkpoint } from '#rounds/checkpoint-store.js';
import { labelFindings, LossWatch } from '#rounds/diagnose-training.js';
import { evaluatePredictions } from '#evaluation/evaluate-predictions.js';
import { leaseRenewalMs, Lease } from '#storage/lease.js';
import { hasEnded, processHolder } from '#storage/lease-holder.js';
import { targetClassOf } from '#rounds/head-labels.js';
import { TileStore } from '#rounds/tile-store.js';
import { refuseLeaks, trainedTiles, type TrainingView } from '#index/training-index.js';
import type { RunSettings } from '#rounds/run-settings.js';
import { TrainingRun } from '#rounds/training-run.js';
import { viewOfShards } from '#index/view-of-shards.js';
import { environment } from '../config.js';
import { asDuration, counted } from '../human-units.js';
import { startBackend } from '../open-model.js';
import { alignedTable } from '../results.js';
import { readTrainConfig, type ResolvedConfig, resolveConfig, splitsOf } from '../train-config.js';
import { TrainDisplay } from '../train-display.js';

import { exitCodes, print, printLine, UndertoneCommand } from '../undertone-command.js';

interface TrainCommandOptions {
  config: string;
  shards: string;
  out?: string;
  resume?: boolean;
  dryRun?: boolean;
}

@Command({
  name: 'train',
  description: 'Train on a folder of shards, without Kafka; write checkpoints, predictions and scores to a folder',
})
export class TrainCommand extends UndertoneCommand {
  protected readonly example =
    './undertone train --config examples/paper-aae.yaml --shards shards/\n  ./undertone train --config examples/paper-aae.yaml --shards shards/ --resume';

  async run(_arguments: string[], options: TrainCommandOptions): Promise<void> {
    const given = readTrainConfig(options.config);
    const view = viewOfShards(resolve(options.shards), splitsOf(given));
    refuseLeaks(view);
    const config = resolveConfig(given, view);
    describe(view, config.model);
    for (const finding of labelFindings(view, config.model)) printLine(`! ${finding}`);
    if (given.codeVersion !== undefined && given.codeVersion !== codeVersion)
      printLine(
        `! version ${given.codeVersion} wrote ${options.config}, and this is version ${codeVersion}: the scores may differ in their digits`,
      );
    if (options.dryRun) return;
    const out = options.out ?? join('runs', config.name);
    const before = recordedRun(out, config, options.resume ?? false);
    const backend = await startBackend(wantedBackend(given.backend, before?.backend));
    if (!before) record(out, { ...config, backend: backend.name, codeVersion });
    else if (before.backend && before.backend !== backend.name)
      printLine(`! the run began on backend ${before.backend} and continues on ${backend.name}: the scores will differ in their digits`);
    const stopping = new AbortController();
    process.once('SIGINT', () => {
      process.stderr.write('\nstopping after this step …\n');
      stopping.abort();
      process.once('SIGINT', () => process.exit(130));
    });
    const checkpoint = await train(config, view, { out, stop: stopping.signal, backend: backend.name });
    if (!checkpoint?.complete) {
      print(`Stopped at step ${checkpoint?.step ?? 0}. Add --resume to continue.`);
      process.exitCode = exitCodes.failed;
      return;
    }
    await printScores(checkpoint, out);
  }

  @Option({
    flags: '-c, --config <file>',
    description: 'a YAML file with the model, the batch and the number of steps; see examples/',
    required: true,
  })
  parseConfig(file: string): string {
    return file;
  }

  @Option({
    flags: '-s, --shards <dir>',
    description: 'a folder of shards (*.arrow): a copy from the bucket, or written by `export --format shards` or `features`',
    required: true,
  })
  parseShards(folder: string): string {
    return folder;
  }

  @Option({ flags: '-o, --out <dir>', description: 'folder for checkpoints and scores (default: runs/<name>)' })
  parseOut(folder: string): string {
    return folder;
  }

  @Option({ flags: '--resume', description: 'continue from the newest checkpoint in the output folder' })
  parseResume(): boolean {
    return true;
  }

  @Option({ flags: '-n, --dry-run', description: 'print the training data, and train nothing' })
  parseDryRun(): boolean {
    return true;
  }
}

function describe(view: TrainingView, settings: ModelSettings): void {
  const isCluster = settings.target === 'clusters-3' || settings.target === 'clusters-5';
  const tiles = trainedTiles(view, (utterance) =>
    isCluster ? carriesTarget(utterance.labels, settings.target) : targetClassOf(utterance, settings, null) >= 0,
  );
  const speakersOf = (split: string) =>
    new Set(view.utterances.filter((each) => each.split === split).flatMap(({ labels }) => labels.speakerId ?? [])).size;
  print(
    `${counted(view.utterances.length, 'utterance')}: ${tiles.labelled} labelled and ${tiles.unlabelled} unlabelled tiles to learn from; ` +
      `speakers: ${speakersOf('train')} train, ${speakersOf('dev')} dev, ${speakersOf('test')} test`,
  );
}

const recordFile = 'config.json';

/** @returns the recorded configuration of the run to continue; null if none was begun @throws PipelineError CONFIG_INVALID if it is another run */
function recordedRun(out: string, config: ResolvedConfig, resume: boolean): { backend?: string } | null {
  const path = join(out, recordFile);
  if (!existsSync(path)) return null;
  if (!resume)
    throw new PipelineError(
      'CONFIG_INVALID',
      `${out} holds a run already. Add --resume to continue it, or name another folder with --out.`,
    );
  const before = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  const changed = Object.entries(config).flatMap(([name, value]) => (canonicalJson(value) === canonicalJson(before[name]) ? [] : [name]));
  if (changed.length === 0) return before;
  const what = changed.map((name) => (name === 'viewDigest' ? 'other shards' : `another ${name}`)).join(' and ');
  throw new PipelineError('CONFIG_INVALID', `The run in ${out} began with ${what}, so it cannot continue. Name another folder with --out.`);
}

/** Writes everything that the run depends on, defaults included. This file and the shards suffice to repeat the run. */
function record(out: string, run: ResolvedConfig & { backend: string; codeVersion: string }): void {
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, recordFile), `${JSON.stringify(run, null, 2)}\n`);
}

/**
 * Chooses the backend: the configuration file's or TF_BACKEND's, else that of the run to continue.
 * @param inFile backend of the configuration file @param before backend that the run began on
 * @throws PipelineError CONFIG_INVALID if the file and TF_BACKEND name different backends
 */
function wantedBackend(inFile: string | undefined, before: string | undefined): string | undefined {
  const inEnvironment = environment['TF_BACKEND'] || undefined;
  if (inFile && inEnvironment && inFile !== inEnvironment)
    throw new PipelineError(
      'CONFIG_INVALID',
      `The configuration says backend ${inFile}, and TF_BACKEND says ${inEnvironment}. Unset TF_BACKEND, or delete backend from the file.`,
    );
  return inFile ?? inEnvironment ?? before;
}

async function train(
  config: ResolvedConfig,
  view: TrainingView,
  { out, stop, backend }: { out: string; stop: AbortSignal; backend: string },
): Promise<Checkpoint | null> {
  const store = new FolderStore(out);
  const lease = await Lease.acquire(store, runLeaseKey(config.name), processHolder(), {
    onWait: (by) => print(`waiting for ${by}, which is training in ${out}`),
    isGone: hasEnded,
  });
  const settings: RunSettings = {
    runId: config.name,
    model: config.model,
    batch: config.batch,
    roundSteps: config.steps,
    roundMaxSec: null,
    replayShare: 0,
    patience: config.patience,
    rate: { schedule: config.schedule, warmupSteps: config.warmupSteps },
    reportEvery: 1,
    checkpointEvery: config.checkpointEvery,
    statisticsTiles: config.statisticsTiles,
    seed: config.seed,
    codeVersion,
  };
  const display = new TrainDisplay(process.stderr);
  let newest: Checkpoint | null = null;
  let watch: LossWatch | undefined;
  const tiles = new TileStore(store, null);
  const run = new TrainingRun(settings, store, tiles, lease.epoch, {
    roundStarted: ({ step, steps, speakers }) => {
      watch = LossWatch.of(config.model, speakers);
      print(`step ${step} to ${step + steps} on ${backend}, ${counted(speakers, 'speaker')} to tell apart`);
    },
    stepTrained: ({ step, losses, stepMs }) => {
      display.show({ step, end: config.steps, losses, stepMs });
      for (const finding of watch?.observe(losses) ?? []) {
        display.clear();
        printLine(`! step ${step}: ${finding}`);
      }
    },
    checked: ({ step, ua, bestStep }) => {
      display.clear();
      print(`step ${step}: UA on dev speakers ${(100 * ua).toFixed(1)} %${bestStep === step ? '' : `, best at step ${bestStep}`}`);
    },
    erased: () => undefined, // without Kafka nothing announces erasures
    shardsGone: (ids) => printLine(`! ${counted(ids.length, 'shard')} changed after the start, and are left out of training`),
    saved: (checkpoint) => (newest = checkpoint),
    checkpointRefused: (why) => printLine(`! ${why}; trying the checkpoint before it`),
    wentBack: () => undefined, // the run ends: its configuration fixes the learning rate
    roundFinished: ({ wallSec, tilesPerSec, waitShare, ended, bestStep }) => {
      display.clear();
      if (ended === 'dev') print(`stopping early: ${counted(config.patience, 'check')} on dev speakers without improvement`);
      if (ended === 'dev' || bestStep !== newest?.step) print(`the model is from step ${bestStep}`);
      print(
        `done in ${asDuration(wallSec)}, ${tilesPerSec.toFixed(0)} tiles a second, ${(100 * waitShare).toFixed(1)} % of the time spent waiting for tiles`,
      );
    },
  });
  // A failed renewal is ignored: if the lease is lost, writing the next checkpoint fails.
  const renewal = setInterval(() => void lease.renew().catch(() => undefined), leaseRenewalMs);
  try {
    newest = await run.restore();
    if (!newest?.complete) await run.runRound(view, { stop });
    return newest;
  } finally {
    clearInterval(renewal);
    display.clear();
    run.dispose();
    await tiles.close();
    await lease.release();
  }
}

async function printScores(checkpoint: Checkpoint, out: string): Promise<void> {
  const store = new FolderStore(out);
  const evaluations = (await Promise.all(checkpoint.predictions.map((fact) => evaluatePredictions(fact, store)))).flat();
  if (evaluations.length === 0) print('There are no held-out speakers with labels: nothing to score.');
  else print(alignedTable(['task', 'split', 'utterances', 'WA', 'UA', '95 % interval of UA'], evaluations.map(scoreRow)));
  writeFileSync(join(out, 'evaluations.json'), `${JSON.stringify(evaluations, null, 2)}\n`);
  print(`checkpoints, predictions, config.json and evaluations.json are in ${out}`);
}

function scoreRow({ task, split, n, wa, ua, uaInterval }: ModelEvaluated): string[] {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const interval = uaInterval ? `${percent(uaInterval[0])} to ${percent(uaInterval[1])}` : '';
  return [task, split, String(n), percent(wa), percent(ua), interval];
}
