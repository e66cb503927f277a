/** Real services make a lost shard again, and write no dead letter for its utterances. */
import { afterEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { putMadeCorpus, toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
afterEach(async () => pipeline.close());

async function shardKeys(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of pipeline.store.list('shards/')) keys.push(key);
  return keys;
}

it('withdraws the shard and makes its tiles again, and the next round has all utterances', async () => {
  pipeline = new RunningPipeline({ SHARD_TILES: '8', ROUND_QUIET: '1' });
  await pipeline.prepare();
  const { store, overview } = pipeline;
  const { paths } = await putMadeCorpus(store, 'made', { speakers: 4, each: 2 });
  pipeline.start('ingest', 'features');
  await pipeline.until('all in shards', () => overview.reconcile().inShards === paths.length);
  const before = await shardKeys();
  const [gone = '', damaged = ''] = before;
  await store.delete(gone);
  await store.put(damaged, 'half a sh');
  // One more recording, so that the new round differs from the first.
  await store.put(corpusKey('late', 'u.wav'), toneWav({ pitchHz: 210 }));
  pipeline.start('trainer');
  await pipeline.until('the loss to be noticed', () => pipeline.logOf('trainer').includes('the store has lost shards'));
  await pipeline.until('a model of all', () => overview.snapshot().checkpoint?.viewUtterances === paths.length + 1, 150);
  expect(overview.reconcile()).toEqual({ utterances: paths.length + 1, inShards: paths.length + 1, deadLettered: 0, inFlight: [] });
  expect(overview.deadLetters).toEqual([]);
  const after = await shardKeys();
  for (const key of after) expect((await store.get(key)).bytes.byteLength, key).toBeGreaterThan(1_000);
  expect(pipeline.hasExited('trainer')).toBe(false);
});
