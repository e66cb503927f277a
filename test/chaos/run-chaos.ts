/**
 * The chaos test: sends a stream of recordings through real services while it kills, stops, restarts, slows and cuts off every
 * part. Then it waits until the pipeline settles and compares it with the exact expected state. A seed repeats the actions and
 * their order, but not their timing.
 */
import { settingsHash } from '#audio/feature-settings.js';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChaosStream } from './chaos-stream.js';
import { ChaosWorld } from './chaos-world.js';
import { dealFaults } from './fault.js';
import { compact, loadNewestModel, pixelDifferences, scoreDifferences, unreferencedShards, usualSettings } from './final-checks.js';
import { networkFaults } from './network-faults.js';
import { differences, expectedDigest, type Difference } from './oracle.js';
import { processFaults } from './process-faults.js';
import { SettledPipeline } from './settled-pipeline.js';

export interface ChaosOptions {
  seed: number;
  /** Duration of faults and stream; with `deals`, the maximum. */
  minutes: number;
  /** Ends when each process fault has happened this many times. */
  deals?: number;
  opsPerSec: number;
  /** The process faults to use; default: all. */
  only?: (kind: string) => boolean;
  log: (line: string) => void;
}

export interface ChaosReport {
  seed: number;
  durationSec: number;
  stream: Readonly<Record<string, number>>;
  faults: Readonly<Record<string, number>>;
  restarts: number;
  alive: number;
  deadLetters: Readonly<Record<string, number>>;
  settledAfterSec: number;
  rounds: number;
  /** Kinds of faults that never happened. */
  missedFaults: string[];
  unreferencedShards: number | 'not looked at';
  problems: string[];
}

const settleLimitMs = 5 * 60_000;
/** If a wrong state does not change for this long, it counts as final. */
const wrongAndQuietMs = 75_000;
/** Longer than two listings. */
const holdMs = 10_000;
const pixelSample = 30;
/** The predictor may have to take over a share and to score everything by a new champion. */
const scoreLimitMs = 120_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const world = new ChaosWorld();
  let isGood = false;
  try {
    await world.start();
    const report = await play(world, options);
    isGood = report.problems.length === 0;
    if (!isGood) report.problems.push(world.logEnds());
    return report;
  } catch (error) {
    options.log(world.logEnds());
    throw error;
  } finally {
    const keep = !isGood || Boolean(process.env['KEEP_LOGS']);
    if (keep) options.log(`logs are kept in ${world.logsDir}`);
    await world.stop({ keep });
  }
}

/** Waits for the predictor. @returns the differences that remain at the time limit */
async function untilScored(world: ChaosWorld, pipeline: SettledPipeline): Promise<Difference[]> {
  const deadline = Date.now() + scoreLimitMs;
  for (;;) {
    const found = await scoreDifferences(world, pipeline);
    if (found.length === 0 || Date.now() > deadline) return found;
    await sleep(1_000);
  }
}

async function play(world: ChaosWorld, options: ChaosOptions): Promise<ChaosReport> {
  const { seed, minutes, opsPerSec, log } = options;
  const plannedObjects = Math.ceil(minutes * 60 * opsPerSec * 0.25);
  const stream = new ChaosStream(world, { seed, opsPerSec, relabelEverySec: 12, plannedObjects });
  await stream.prepare();
  const stormStartedAt = Date.now();
  const streaming = stream.run();
  const faults = await strike(world, options);
  const stormEndedAt = Date.now();
  await stream.stop();
  await streaming;
  log(`all faults are over; ${stream.objects.length} recordings were put; waiting until it is quiet`);
  const restarts = world.supervisor.states.reduce((sum, state) => sum + state.restarts, 0);

  const pipeline = await new SettledPipeline(world).start();
  try {
    const truths = stream.truths();
    const settling = await settle(world, { stream, pipeline, log });
    const problems = [...settling.problems];
    const say = (found: Difference[]): number => problems.push(...found.map((each) => told(each, stream, pipeline)));
    say(await pixelDifferences(world, pipeline, { truths, sample: pixelSample, seed }));
    say(await untilScored(world, pipeline));
    const checkpoint = await loadNewestModel(world).catch((error: unknown) => {
      problems.push(`the newest model does not load: ${String(error)}`);
    });
    let left: ChaosReport['unreferencedShards'] = 'not looked at';
    if (problems.length === 0) {
      await untilNoRoundRuns(pipeline);
      await compact(world);
      await sleep(2_000);
      say(differences(truths, stream.objects, pipeline));
      say(await pixelDifferences(world, pipeline, { truths, sample: pixelSample, seed: seed + 1 }));
      const unreferenced = await unreferencedShards(world, pipeline);
      left = unreferenced.length;
      problems.push(...unreferenced.map((key) => `${key} is left, and nothing in it is alive`));
    }
    return {
      seed,
      durationSec: Math.round((stormEndedAt - stormStartedAt) / 1000),
      stream: stream.counts,
      faults: faults.counts,
      restarts,
      alive: pipeline.index.view().utterances.length,
      deadLetters: lettersByCode(pipeline),
      settledAfterSec: settling.sec,
      rounds: checkpoint?.round ?? 0,
      missedFaults: faults.missed,
      unreferencedShards: left,
      problems,
    };
  } finally {
    await pipeline.stop();
  }
}

async function strike(
  world: ChaosWorld,
  { seed, minutes, deals, only = () => true, log }: ChaosOptions,
): Promise<{ counts: Record<string, number>; missed: string[] }> {
  const counts: Record<string, number> = {};
  const onFault = (kind: string): void => {
    counts[kind] = (counts[kind] ?? 0) + 1;
    log(`${new Date().toISOString().slice(11, 19)} ${kind}`);
  };
  const processes = processFaults(world).filter(({ kind }) => only(kind));
  const networks = networkFaults(world);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), minutes * 60_000);
  const shared = { seed, signal: over.signal, onFault };
  const networkLane = dealFaults(world, networks, { ...shared, lane: 'networks', pauseMs: [2_000, 6_000] });
  await dealFaults(world, processes, { ...shared, lane: 'processes', pauseMs: deals ? [500, 2_000] : [1_500, 5_000], deals });
  over.abort();
  clearTimeout(timer);
  await networkLane;
  return { counts, missed: [...processes, ...networks].map(({ kind }) => kind).filter((kind) => !counts[kind]) };
}

/** Waits until topics and trainer match the expected state with nothing in flight, for longer than two listings. */
async function settle(
  world: ChaosWorld,
  { stream, pipeline, log }: { stream: ChaosStream; pipeline: SettledPipeline; log: (line: string) => void },
): Promise<{ sec: number; problems: string[] }> {
  const startedAt = Date.now();
  const truths = stream.truths();
  for (const { object, state } of truths) {
    const head = await world.store.head(object.key);
    if (head?.etag !== state.etag) throw new Error(`the test's own record of ${object.key} is wrong: ${JSON.stringify(head)}`);
  }
  const digest = expectedDigest(truths, settingsHash(usualSettings(), null));
  const expected = truths.filter(({ state }) => state.audio.code === null).length;
  let rightSince: number | undefined;
  let lastChange = { at: Date.now(), revision: '' };
  for (;;) {
    const found = differences(truths, stream.objects, pipeline);
    const inFlight = await pipeline.inFlight();
    const trainer = await pipeline.trainer();
    const isMoving = Object.values(inFlight).some((records) => records > 0);
    const isRight = found.length === 0 && !isMoving && trainer?.viewDigest === digest && trainer.viewUtterances === expected;
    rightSince = isRight ? (rightSince ?? Date.now()) : undefined;
    if (rightSince && Date.now() - rightSince >= holdMs) return { sec: Math.round((rightSince - startedAt) / 1000), problems: [] };
    const revision = `${pipeline.index.revision} ${pipeline.deadLetters.length} ${JSON.stringify(inFlight)}`;
    if (revision !== lastChange.revision) lastChange = { at: Date.now(), revision };
    const elapsedMs = Date.now() - startedAt;
    if (elapsedMs > settleLimitMs || Date.now() - lastChange.at > wrongAndQuietMs) {
      const state = { inFlight, differences: found.length, trainer, digest, expected };
      const problems = found.slice(0, 20).map((each) => told(each, stream, pipeline));
      return { sec: Math.round(elapsedMs / 1000), problems: [`it does not settle: ${JSON.stringify(state)}`, ...problems] };
    }
    if (Math.floor(elapsedMs / 10_000) > Math.floor((elapsedMs - 1_500) / 10_000)) {
      log(
        `${found.length} differences, in flight ${JSON.stringify(inFlight)}, trainer ${trainer?.viewDigest === digest ? 'right' : (trainer?.because ?? 'silent')}`,
      );
    }
    await sleep(1_500);
  }
}

/** Waits until the trainer rests. A running round may read every shard that was announced when it began, so compaction keeps these. */
async function untilNoRoundRuns(pipeline: SettledPipeline): Promise<void> {
  const deadline = Date.now() + settleLimitMs;
  while ((await pipeline.trainer())?.state !== 'waiting') {
    if (Date.now() > deadline) throw new Error('the trainer did not finish its rounds in time');
    await sleep(500);
  }
}

function told({ utteranceId, what }: Difference, stream: ChaosStream, pipeline: SettledPipeline): string {
  const object = stream.objects.find((each) => each.utteranceId === utteranceId);
  const shards = [...pipeline.shards.values()]
    .filter(({ utterances }) => utterances.some((each) => each.utteranceId === utteranceId))
    .map(
      ({ sealedAt, utterances }) =>
        `sealed ${sealedAt.slice(11, 23)} with ${utterances.find((each) => each.utteranceId === utteranceId)?.version}`,
    );
  const record = pipeline.records.get(utteranceId);
  const said = record ? `record of ${record.ingestedAt.slice(11, 23)}: ${record.version} ${record.etag.slice(0, 6)}` : 'no record';
  return [`${utteranceId} ${what}`, ...(object?.history ?? []), said, ...shards].join('\n      ');
}

function lettersByCode({ deadLetters }: SettledPipeline): Record<string, number> {
  const counts: Record<string, number> = {};
  const versions = new Set(deadLetters.map(({ utteranceId, version, code }) => `${code} ${utteranceId}@${version}`));
  for (const version of versions) {
    const code = version.split(' ')[0] as string;
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
}
