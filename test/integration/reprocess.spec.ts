/**
 * The real command reprocesses a corpus under other feature settings and back. The trainer's view never lacks an utterance, and no
 * utterance is lost because a consumer group skipped it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { deadLetters } from '#contracts/dead-letters.js';
import { featureSettingsChosen } from '#contracts/feature-settings.js';
import { corpusKey, featureSettingsKey } from '#contracts/object-keys.js';
import { shardsLabelled, shardsUnlabelled } from '#contracts/shards.js';
import { utterances } from '#contracts/utterances.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { packageRoot } from '#service/package-root.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { TableFollower } from '#streaming/table-follower.js';
import { TrainingIndex, type TrainingView } from '#index/training-index.js';
import type { TrainerStatus } from '#rounds/trainer-status.js';
import { putMadeCorpus, toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

/** Settings that a service reads at each start. */
let settings: Record<string, string>;
let pipeline: RunningPipeline;
let index: TrainingIndex;
let follower: TableFollower;
/** Of `first`, after every fact: the settings that are read, and how many utterances have tiles. */
let seen: { hash: string | undefined; count: number }[];
/** Maps an utterance id to the settings hashes under which it is a dead letter. */
let refused: Map<string, Set<string>>;

beforeEach(async () => {
  // Shards have eight tiles, and a remainder in each partition waits for its age limit.
  settings = { SHARD_TILES: '8', SHARD_MAX_AGE: '1', FEATURE_SETTINGS_INTERVAL: '1', ROUND_QUIET: '1' };
  pipeline = new RunningPipeline(settings);
  await pipeline.prepare();
  [index, seen, refused] = [new TrainingIndex(), [], new Map()];
  const logger = pino({ level: 'silent' });
  const kafka = kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-test', logger);
  const note = (): void => {
    const view = index.view();
    seen.push({ hash: view.settings['first'], count: of(view, 'first').length });
  };
  follower = new TableFollower(kafka, pipeline.prefix, 'reprocess-test', logger)
    .on(utterances, (id, fact) => (index.applyUtterance(id, fact), note()))
    .on(shardsLabelled, (id, fact) => (index.applyShard(id, fact), note()))
    .on(shardsUnlabelled, (id, fact) => (index.applyShard(id, fact), note()))
    .on(featureSettingsChosen, (_key, fact) => (index.applySettings(fact), note()))
    .on(deadLetters, (_key, fact) => {
      if (!fact) return;
      index.applyDeadLetter(fact);
      const { utteranceId = '', settingsHash = '' } = fact;
      refused.set(utteranceId, (refused.get(utteranceId) ?? new Set()).add(settingsHash));
      note();
    });
  await follower.start();
  index.caughtUp();
});
afterEach(async () => {
  await follower.stop();
  await pipeline.close();
});

const of = (view: TrainingView, corpus: string) => view.utterances.filter(({ utteranceId }) => utteranceId.startsWith(`${corpus}/`));
const placesOf = (corpus: string) => of(index.view(), corpus).map(({ utteranceId, shardId }) => `${utteranceId} in ${shardId}`);
const hashesOf = (corpus: string) => new Set(of(index.view(), corpus).map(({ shardObjectKey }) => shardObjectKey.split('/')[1]));
const settled = (count: number) => () => {
  const { utterances: all, inFlight } = pipeline.overview.reconcile();
  return all === count && inFlight.length === 0;
};

async function undertone(...words: string[]) {
  const child = spawn(process.execPath, [join(packageRoot, 'dist/apps/cli/src/main.js'), ...words], { env: pipeline.environment });
  let [text, errors] = ['', ''];
  child.stdout.on('data', (part: Buffer) => (text += part.toString()));
  child.stderr.on('data', (part: Buffer) => (errors += part.toString()));
  await once(child, 'close');
  return { code: child.exitCode, text, errors, json: <Value>(): Value => JSON.parse(text) as Value };
}

interface Reprocessed {
  hinted: number;
  corpora: { now: { hash: string }; next: { hash: string }; toMake: { utterances: number }; covered: number; live: number }[];
}

const trainer = async (): Promise<TrainerStatus> => (await (await fetch(`${pipeline.url('trainer')}/status`)).json()) as TrainerStatus;

it('moves a corpus to other settings and back, complete at every moment and without loss', async () => {
  const { store, overview } = pipeline;
  const { paths } = await putMadeCorpus(store, 'first');
  await putMadeCorpus(store, 'second', { speakers: 3 });
  await store.put(corpusKey('first', 'bad.wav'), 'This is no sound at all, only a text.');
  const [first, second] = [paths.length, 24];
  pipeline.start('ingest', 'features', 'trainer');
  await pipeline.until('all in shards or dead letters', settled(first + second + 1));
  await pipeline.until('the view of all', () => index.size === first + second);
  const [former = ''] = hashesOf('first');
  const secondBefore = placesOf('second');

  // From here on the remainder of each partition stays in the builder.
  expect(await pipeline.stopGently('features')).toBe(0);
  settings['SHARD_MAX_AGE'] = '600';
  pipeline.start('features');
  await pipeline.until('features to know its settings', async () => {
    const response = await fetch(`${pipeline.url('features')}/settings`).catch(() => null);
    return response?.ok === true;
  });
  const words = ['reprocess', '--corpus', 'first', '--set', 'bandLimitHz=4000'];
  const foretold = await undertone(...words, '--dry-run');
  expect(foretold.text).toMatch(new RegExp(`to make +${first + 1} of ${first + 1} utterances, .* of audio`));
  expect(await store.findJson(featureSettingsKey('first'))).toBeNull();
  const begun = await undertone(...words, '--json');
  expect([begun.code, begun.errors]).toEqual([0, '']);
  const { hinted, corpora } = begun.json<Reprocessed>();
  const next = corpora[0]?.next.hash ?? '';
  expect(corpora[0]).toMatchObject({ now: { hash: former }, toMake: { utterances: first + 1 } });
  expect(hinted).toBe(0);
  await pipeline.until('a part of it to be there', () => overview.coverageUnder('first', next).covered > 0);

  // Killed in the middle. The next process must make the tiles that were not announced.
  await pipeline.kill('features');
  await follower.sync();
  const { covered, live } = overview.coverageUnder('first', next);
  expect(covered).toBeLessThan(live);
  expect(hashesOf('first')).toEqual(new Set([former]));
  expect(await trainer()).toMatchObject({ viewUtterances: first + second, settings: { first: former, second: former } });
  expect((await undertone('status')).text).toContain(
    `corpus first is changing its feature settings: ${covered} of ${live} utterances have tiles under ${next}`,
  );
  expect(await undertone('verify', '--json')).toMatchObject({ code: 1 });
  await store.put(corpusKey('first', 'late.wav'), toneWav({ pitchHz: 230 }));
  await pipeline.until('the late file to be known', () => overview.knows('first/late.wav'));
  settings['SHARD_MAX_AGE'] = '1';
  pipeline.start('features');

  await pipeline.until('all of it under the new settings', settled(first + second + 2));
  await pipeline.until('the view to move over', () => hashesOf('first').has(next));
  expect(hashesOf('first')).toEqual(new Set([next]));
  expect(placesOf('second')).toEqual(secondBefore);
  expect(refused.get('first/bad.wav')).toEqual(new Set([former, next]));
  expect((await undertone('verify')).code).toBe(0);
  await pipeline.until('the trainer to move over', async () => (await trainer()).settings['first'] === next);
  // The digest distinguishes the same versions with other tiles.
  await pipeline.until('a round on the new tiles', () => overview.snapshot().checkpoint?.viewDigest === index.digest);

  // Back to the former settings. Their group never stopped, and has passed the late file.
  const back = await undertone('reprocess', '--corpus', 'first', '--default', '--wait', '--json');
  expect([back.code, back.errors]).toEqual([0, '']);
  const [returned] = back.json<Reprocessed>().corpora;
  expect(returned).toMatchObject({ next: { hash: former }, toMake: { utterances: 1 }, covered: first + 2, live: first + 2 });
  expect(back.json<Reprocessed>().hinted).toBe(1);
  await pipeline.until('the view to move back', () => hashesOf('first').has(former));
  expect(index.view()).toMatchObject({ settings: { first: former, second: former } });
  expect(index.size).toBe(first + 1 + second);
  expect(placesOf('second')).toEqual(secondBefore);
  expect(await undertone('verify', '--json')).toMatchObject({ code: 0 });

  // From the moment when all utterances have tiles there are never fewer, and each moment has one set of settings.
  const whole = seen.slice(seen.findIndex(({ count }) => count === first));
  expect(whole.every(({ count }) => count >= first)).toBe(true);
  expect(whole.map(({ hash }) => hash).filter((hash, at, all) => hash !== all[at - 1])).toEqual([former, next, former]);
});

it('keeps the settings of a corpus if its object is invalid, and does not crash', async () => {
  const { store } = pipeline;
  await putMadeCorpus(store, 'first', { speakers: 2, each: 1 });
  await store.put(featureSettingsKey('first'), '{"layout": "centre"}');
  pipeline.start('ingest', 'features');
  await pipeline.until('all in shards', settled(8));
  const [before] = hashesOf('first');
  await store.put(featureSettingsKey('first'), '{"layout": "sideways", "sampleRateHz": 8000}');
  await pipeline.until('it to be said', () => pipeline.logOf('features').includes('CONFIG_INVALID'));
  await store.put(corpusKey('first', 'late.wav'), toneWav({ pitchHz: 230 }));
  await pipeline.until('the late file in a shard', settled(9));
  expect(hashesOf('first')).toEqual(new Set([before]));
  const refusedWords = await undertone('reprocess', '--corpus', 'first', '--set', 'layout=tiles');
  expect([refusedWords.code, refusedWords.errors]).toEqual([2, expect.stringContaining('layout')]);
});
