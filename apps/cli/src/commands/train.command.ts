/** `undertone train`: one run on a folder of shards, without Kafka and without a bucket. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, Option } from 'nest-commander';
import { canonicalJson } from '#audio/feature-settings.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import { runLeaseKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ModelSettings } from '#paper/settings.js';
import { codeVersion } from '#service/package-root.js';
import { FolderStore } from '#storage/folder-store.js';
import type { Checkpoint } from '#rounds/checkpoint-store.js';
import { labelFindings, LossWatch } from '#rounds/diagnose-training.js';
import { evaluatePredictions } from '#evaluation/evaluate-predictions.js';
import { leaseRenewalMs, Lease } from '#storage/lease.js';
import { hasEnded, processHolder } from '#storage/lease-holder.js';
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

@Command({ name: 'train', description: 'Train on a folder of shards, without Kafka: checkpoints, predictions and scores in a folder' })
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
      printLine(`! ${options.config} was written by version ${given.codeVersion}, this is ${codeVersion}: the digits may differ`);
    if (options.dryRun) return;
    const out = options.out ?? join('runs', config.name);
    const before = recordedRun(out, config, options.resume ?? false);
    const backend = await startBackend(wantedBackend(given.backend, before?.backend));
    if (!before) record(out, { ...config, backend: backend.name, codeVersion });
    else if (before.backend && before.backend !== backend.name)
      printLine(`! begun on ${before.backend}, goes on on ${backend.name}: the digits will differ`);
    const stopping = new AbortController();
    process.once('SIGINT', () => {
      process.stderr.write('\nstopping after this step …\n');
      stopping.abort();
      process.once('SIGINT', () => process.exit(130));
    });
    const checkpoint = await train(config, view, { out, stop: stopping.signal, backend: backend.name });
    if (!checkpoint?.complete) {
      print(`Stopped at step ${checkpoint?.step ?? 0}. --resume goes on from here.`);
      process.exitCode = exitCodes.failed;
      return;
    }
    await printScores(checkpoint, out);
  }

  @Option({ flags: '-c, --config <file>', description: 'YAML: the model, the batch, how long; see examples/', required: true })
  parseConfig(file: string): string {
    return file;
  }

  @Option({
    flags: '-s, --shards <dir>',
    description: "a folder of shards (*.arrow): a copy of the bucket's, or made by `features`",
    required: true,
  })
  parseShards(folder: string): string {
    return folder;
  }

  @Option({ flags: '-o, --out <dir>', description: 'where checkpoints and scores go; runs/<name> if not given' })
  parseOut(folder: string): string {
    return folder;
  }

  @Option({ flags: '--resume', description: 'go on from the newest checkpoint there' })
  parseResume(): boolean {
    return true;
  }

  @Option({ flags: '-n, --dry-run', description: 'say what would be trained on, and train nothing' })
  parseDryRun(): boolean {
    return true;
  }
}

function describe(view: TrainingView, { target }: ModelSettings): void {
  const tiles = trainedTiles(view, target);
  const speakersOf = (split: string) =>
    new Set(view.utterances.filter((each) => each.split === split).flatMap(({ labels }) => labels.speakerId ?? [])).size;
  print(
    `${counted(view.utterances.length, 'utterance')}: ${tiles.labelled} labelled and ${tiles.unlabelled} unlabelled tiles to learn from; ` +
      `speakers: ${speakersOf('train')} train, ${speakersOf('dev')} dev, ${speakersOf('test')} test`,
  );
}

const recordFile = 'config.json';

/** @returns the file of the run that is gone on with; null where none was begun @throws PipelineError CONFIG_INVALID where it is another run */
function recordedRun(out: string, config: ResolvedConfig, resume: boolean): { backend?: string } | null {
  const path = join(out, recordFile);
  if (!existsSync(path)) return null;
  if (!resume)
    throw new PipelineError('CONFIG_INVALID', `${out} holds a run already: --resume goes on with it, --out names another folder`);
  const before = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  const changed = Object.entries(config).flatMap(([name, value]) => (canonicalJson(value) === canonicalJson(before[name]) ? [] : [name]));
  if (changed.length === 0) return before;
  const what = changed.map((name) => (name === 'viewDigest' ? 'other shards' : `another ${name}`)).join(' and ');
  throw new PipelineError('CONFIG_INVALID', `${out} was begun with ${what}: name another --out`);
}

/** All that the run depends on, filled in: from this file and the shards the run can be repeated. */
function record(out: string, run: ResolvedConfig & { backend: string; codeVersion: string }): void {
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, recordFile), `${JSON.stringify(run, null, 2)}\n`);
}

/**
 * @param inFile of the configuration @param before of the run that is gone on with, where nothing else is asked for
 * @throws PipelineError CONFIG_INVALID where file and environment ask for two
 */
function wantedBackend(inFile: string | undefined, before: string | undefined): string | undefined {
  const inEnvironment = environment['TF_BACKEND'] || undefined;
  if (inFile && inEnvironment && inFile !== inEnvironment)
    throw new PipelineError(
      'CONFIG_INVALID',
      `backend is ${inFile} in the configuration and TF_BACKEND is ${inEnvironment}: unset TF_BACKEND, or delete backend from the file`,
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
    onWait: (by) => print(`waiting for ${by}, which trains in ${out}`),
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
    erased: () => undefined, // nothing tells of erasures where there is no Kafka
    shardsGone: (ids) => printLine(`! ${counted(ids.length, 'shard')} changed since they were read, and are left out`),
    saved: (checkpoint) => (newest = checkpoint),
    checkpointRefused: (why) => printLine(`! ${why}; going back to the one before`),
    wentBack: () => undefined, // the run ends: its file decides the rate
    roundFinished: ({ wallSec, tilesPerSec, waitShare, ended, bestStep }) => {
      display.clear();
      if (ended === 'dev') print(`dev speakers were understood no better for ${counted(config.patience, 'check')}: enough`);
      if (ended === 'dev' || bestStep !== newest?.step) print(`the model is that of step ${bestStep}`);
      print(
        `done in ${asDuration(wallSec)}, ${tilesPerSec.toFixed(0)} tiles a second, ${(100 * waitShare).toFixed(1)} % of the time waiting for them`,
      );
    },
  });
  // That it was lost, the next checkpoint finds out.
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
