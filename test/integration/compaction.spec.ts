/**
 * Erasure and compaction with all real services. The test follows one utterance from the bucket into a shard and out of it again,
 * and checks that nothing else changes.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { readShard } from '#audio/shard/shard-file.js';
import { corpusKey, jobLeaseKey } from '#contracts/object-keys.js';
import { packageRoot } from '#service/package-root.js';
import { Lease } from '#storage/lease.js';
import { putMadeCorpus, toneWav } from './made-corpus.js';
import { digestOf } from './made-shards.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
afterEach(async () => pipeline.close());

function compact(...words: string[]): { code: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(packageRoot, 'dist/apps/cli/src/main.js'), 'compact', ...words], {
    env: pipeline.environment,
    encoding: 'utf8',
  });
  return { code: status, text: stdout + stderr };
}

interface InStore {
  /** Maps utterance and version to a digest of its rows, pixels and labels. */
  rows: Map<string, string>;
  shards: number;
  tiles: number;
}

/** Every object under shards/, whether announced or not. */
async function readAllShards(): Promise<InStore> {
  const found: InStore = { rows: new Map(), shards: 0, tiles: 0 };
  for await (const { key } of pipeline.store.list('shards/')) {
    const object = await pipeline.store.find(key);
    if (!object) continue; // compaction has deleted it since it was listed
    const file = readShard(object.bytes);
    found.shards++;
    found.tiles += file.count;
    for (let row = 0; row < file.count; ) {
      const name = `${file.utteranceIdAt(row)}@${file.versionAt(row)}`;
      let past = row + 1;
      while (past < file.count && `${file.utteranceIdAt(past)}@${file.versionAt(past)}` === name) past++;
      found.rows.set(name, digestOf(object.bytes, row, past - row));
      row = past;
    }
  }
  return found;
}

const settled = (count: number) => (): boolean => {
  const { utterances, inFlight } = pipeline.overview.reconcile();
  return utterances === count && inFlight.length === 0;
};

it('removes an erased utterance from all shards and leaves the others byte for byte the same', async () => {
  // Four partitions make small shards of a few utterances, which compaction merges.
  pipeline = new RunningPipeline({ SHARD_MAX_AGE: '0.2', SHARD_TILES: '16' });
  await pipeline.prepare();
  const { store, overview } = pipeline;
  const { paths } = await putMadeCorpus(store, 'made', { speakers: 3, each: 1 });
  await store.put(corpusKey('plain', 'long.wav'), toneWav({ durationSec: 9 }));
  const [erased = '', changed = ''] = paths;
  pipeline.start('ingest', 'features');
  await pipeline.until('all in shards', settled(paths.length + 1));
  const first = await readAllShards();
  expect([...first.rows.keys()].filter((name) => name.startsWith(`made/${erased}@`))).toHaveLength(1);

  await store.delete(corpusKey('made', erased));
  await store.put(corpusKey('made', changed), toneWav({ pitchHz: 333 }));
  await pipeline.until(
    'the new state',
    () => overview.reconcile().inFlight.length === 0 && overview.reconcile().utterances === paths.length,
  );
  await pipeline.until('tiles of the changed file', async () => (await readAllShards()).rows.size === first.rows.size + 1);
  await pipeline.until('its shard announced', () => overview.reconcile().inFlight.length === 0);
  const live = overview.snapshot().streams;
  const before = await readAllShards();
  expect(
    [...before.rows.keys()].some((name) => name.startsWith(`made/${erased}@`)),
    'erasure alone leaves the tiles',
  ).toBe(true);

  const dry = compact('--dry-run', '--grace', '0', '--json');
  expect(dry.code, dry.text).toBe(0);
  expect(JSON.parse(dry.text)).toMatchObject({ dryRun: true, shardsBefore: before.shards, unreadable: [] });
  expect((await readAllShards()).shards).toBe(before.shards);

  const done = compact('--grace', '0', '--json');
  expect(done.code, done.text).toBe(0);
  const report = JSON.parse(done.text) as Record<string, number>;
  const after = await readAllShards();
  expect(report).toMatchObject({ shardsBefore: before.shards, shardsAfter: after.shards, waiting: 0, notSwept: null });
  expect(after.shards).toBeLessThan(before.shards);
  expect([...after.rows.keys()].filter((name) => name.startsWith(`made/${erased}@`))).toEqual([]);
  expect(after.rows.size).toBe(paths.length);
  for (const [name, digest] of after.rows) expect(before.rows.get(name), name).toBe(digest);
  await pipeline.until(
    'the announcements',
    () => overview.snapshot().streams.labelled.shards + overview.snapshot().streams.unlabelled.shards === after.shards,
  );
  const { labelled, unlabelled } = overview.snapshot().streams;
  expect([labelled, unlabelled].map(({ tiles, utterances, audioSec }) => ({ tiles, utterances, audioSec }))).toEqual(
    [live.labelled, live.unlabelled].map(({ tiles, utterances, audioSec }) => ({ tiles, utterances, audioSec })),
  );
  expect(after.tiles).toBe(labelled.tiles + unlabelled.tiles);
  expect(compact('--grace', '0').text).toContain('0 written, 0 withdrawn');

  const lease = await Lease.acquire(store, jobLeaseKey('compaction'), 'somebody else', () => undefined);
  expect(compact()).toMatchObject({ code: 1, text: expect.stringContaining('LEASE_HELD: somebody else') as string });
  await lease.release();
  expect(compact('--grace', 'soon')).toMatchObject({ code: 2, text: expect.stringContaining('--grace soon') as string });
});

it('runs beside training: a running round finishes, and the next round has all remaining utterances', async () => {
  pipeline = new RunningPipeline({ SHARD_MAX_AGE: '0.2', COMPACTION_INTERVAL: '1', COMPACTION_GRACE: '0', ROUND_QUIET: '1' });
  await pipeline.prepare();
  const { store, overview } = pipeline;
  const { paths } = await putMadeCorpus(store, 'made', { speakers: 4, each: 1 });
  pipeline.start('ingest', 'features', 'trainer', 'evaluator');
  const trainedOn = (count: number) => (): boolean => overview.snapshot().checkpoint?.viewUtterances === count;
  await pipeline.until('a first model', () => settled(paths.length)() && trainedOn(paths.length)());
  const scored = async (): Promise<number> => {
    let count = 0;
    for await (const { key } of store.list('predictions/')) count += key ? 1 : 0;
    return count;
  };
  expect(await scored()).toBeGreaterThan(0);
  // An utterance of a test speaker, which the predictions name.
  const [erased = '', ...kept] = paths;
  expect(erased.startsWith('s0/')).toBe(true);
  await store.delete(corpusKey('made', erased));
  await pipeline.until('a model without it', trainedOn(kept.length));
  await pipeline.until('no tile of it', async () => {
    const { rows } = await readAllShards();
    return rows.size === kept.length && ![...rows.keys()].some((name) => name.startsWith(`made/${erased}@`));
  });
  // One more round, on the compacted shards.
  await store.put(corpusKey('late', 'u.wav'), toneWav({ pitchHz: 210 }));
  await pipeline.until('a model with a late one', trainedOn(kept.length + 1));
  const metrics = await (await fetch(`${pipeline.url('trainer')}/metrics`)).text();
  expect(metrics).toMatch(/^undertone_trainer_compaction_runs_total\{outcome="done"\} [1-9]/m);
  expect(metrics).toMatch(/^undertone_trainer_compaction_objects_deleted_total\{kind="shard"\} [1-9]/m);
  await pipeline.until('no predictions that name it', async () => {
    const { text } = { text: await (await fetch(`${pipeline.url('trainer')}/metrics`)).text() };
    return /compaction_objects_deleted_total\{kind="predictions"\} [1-9]/.test(text);
  });
  expect(pipeline.logOf('trainer')).not.toContain('the store has lost shards');
  expect(overview.deadLetters).toEqual([]);
  expect(await pipeline.stopGently('trainer'), 'at SIGTERM').toBe(0);
});
