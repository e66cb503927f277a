/**
 * Runs the fuzz suite: laps in which good recordings are put and cases are dealt, then a wait until the account is in order. The same
 * seed deals the same cases in the same order.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { corpusKey, utteranceIdOf } from '#contracts/object-keys.js';
import { SeededRandom } from '../chaos/seeded-random.js';
import { putMadeCorpus, toneWav } from '../integration/made-corpus.js';
import { FuzzWorld } from './fuzz-world.js';
import { answerOfStore, damagedAnnotations, damagedArchive, damagedAudio, damagedSettings, type FuzzCase } from './object-cases.js';
import { forgedUtterance, hostileEvent, hostileHint, hostileRecord, packedBatch, tombstone, wrongRecord } from './record-cases.js';
import type { ServiceFigures } from './service-watch.js';
import { hostilePost, noiseOverHttp } from './webhook-cases.js';

export interface FuzzOptions {
  seed: number;
  /** It ends after so many laps, or after so many seconds, whichever comes first. */
  laps: number;
  seconds: number;
  casesPerLap: number;
  settleSec: number;
}

export interface FuzzReport {
  seed: number;
  cases: Record<string, number>;
  answersOfStore: Record<string, number>;
  letters: Record<string, number>;
  services: Record<string, ServiceFigures>;
  goodRecordings: number;
  settledAfterSec: number;
  /** Differences that went last. */
  lastToSettle: readonly string[];
  problems: string[];
}

const cases: Record<string, [deal: FuzzCase, weight: number]> = {
  audio: [damagedAudio, 6],
  annotations: [damagedAnnotations, 4],
  archive: [damagedArchive, 2],
  store: [answerOfStore, 4],
  settings: [damagedSettings, 1],
  wrong: [wrongRecord, 4],
  hostile: [hostileRecord, 6],
  tombstone: [tombstone, 1],
  packed: [packedBatch, 1],
  forged: [forgedUtterance, 1],
  event: [hostileEvent, 2],
  hint: [hostileHint, 2],
  post: [hostilePost, 4],
  noise: [noiseOverHttp, 1],
};
const weights = Object.fromEntries(Object.entries(cases).map(([name, [, weight]]) => [name, weight]));

/** Objects that no service has any business with, some of them named by forged records. */
const untouchableKeys = ['private/ledger.bin', 'models/foreign/000000400/manifest.json', 'experiments/foreign/plan.json', 'top.bin'];
/** Under these the services may delete what is theirs. */
const ownPrefixes = ['state/', 'shards/', 'predictions/', 'models/'];

export async function runFuzz({ seed, laps, seconds, casesPerLap, settleSec }: FuzzOptions): Promise<FuzzReport> {
  const random = new SeededRandom(seed, 'fuzz');
  const world = new FuzzWorld(new SeededRandom(seed, 'store'));
  const report: FuzzReport = {
    seed,
    cases: {},
    answersOfStore: {},
    letters: {},
    services: {},
    goodRecordings: 0,
    settledAfterSec: 0,
    lastToSettle: [],
    problems: [],
  };
  try {
    await world.start();
    for (const key of untouchableKeys) await world.account.putUntouchable(key, Buffer.from(`the only copy of ${key}`));
    Object.assign(world.hostileStore.trouble, { listings: 0.1, others: 0.02 });
    const endsAtMs = Date.now() + seconds * 1_000;
    let lap = 0;
    for (let number = 0; lap < laps && Date.now() < endsAtMs; lap++) {
      await putGood(world, lap);
      for (let n = 0; n < casesPerLap; n++, number++) {
        const [deal] = cases[random.choose(weights)] as [FuzzCase, number];
        const kind = await deal(world, random, number);
        report.cases[kind] = (report.cases[kind] ?? 0) + 1;
      }
      await sleep(200);
    }
    Object.assign(world.hostileStore.trouble, { listings: 0, others: 0 });
    await putGood(world, lap);
    await settle(world, report, settleSec);
    return report;
  } finally {
    await world.stop();
  }
}

/** A corpus with labels, and a recording without any beside it. */
async function putGood({ pipeline, account }: FuzzWorld, lap: number): Promise<void> {
  const corpus = `good-${lap}`;
  const { paths } = await putMadeCorpus(pipeline.store, corpus, { speakers: 2, each: 1 });
  await pipeline.store.put(corpusKey('good', `${lap}.wav`), toneWav({ durationSec: 0.3, pitchHz: 90 + lap }));
  for (const path of paths) account.expectGood(utteranceIdOf(corpus, path));
  account.expectGood(utteranceIdOf('good', `${lap}.wav`));
}

async function settle(world: FuzzWorld, report: FuzzReport, settleSec: number): Promise<void> {
  const begunAtMs = Date.now();
  let differences = await world.account.differences();
  let last: readonly string[] = [];
  while (differences.length > 0 && Date.now() - begunAtMs < settleSec * 1_000) {
    await sleep(500);
    last = differences;
    differences = await world.account.differences();
  }
  const { account, watch, hostileStore } = world;
  const foreign = [...hostileStore.deleted].filter((key) => !ownPrefixes.some((prefix) => key.startsWith(prefix)));
  report.problems.push(...differences, ...account.notes, ...foreign.map((key) => `a service deleted ${key}`));
  report.lastToSettle = last.slice(0, 3);
  report.settledAfterSec = (Date.now() - begunAtMs) / 1_000;
  report.goodRecordings = account.goodSoFar.length;
  report.letters = account.lettersByCode;
  report.answersOfStore = { ...hostileStore.given };
  report.services = watch.figures;
  for (const [name, { restarts }] of Object.entries(report.services))
    if (restarts > 0) report.problems.push(`${name} ended ${restarts} times`);
  if (report.problems.length > 0) report.problems.push(world.logEnds());
}
