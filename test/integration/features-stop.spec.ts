/** SIGTERM to a real features process in the middle of a long file: finished work is kept, and unfinished work comes again. */
import { afterEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { FeaturesGroup } from './features-group.js';
import { endlessWav, toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
let group: FeaturesGroup;
afterEach(async () => {
  await group.close();
  await pipeline.close();
});

async function cpuSeconds(): Promise<number> {
  const metrics = await (await fetch(`${pipeline.url('features')}/metrics`)).text();
  return Number(/^process_cpu_seconds_total(?:\{[^}]*\})? (\S+)/m.exec(metrics)?.[1] ?? 0);
}

it('seals and commits finished tiles, abandons the file, leaves the group and exits with 0', async () => {
  pipeline = new RunningPipeline({ SHARD_MAX_AGE: '3600', MAX_DURATION_SEC: '1000000', FILE_TIMEOUT: '600', AUDIO_MEMORY_MB: '32000' });
  await pipeline.prepare();
  group = await new FeaturesGroup(pipeline).connect();
  const { overview, store } = pipeline;
  await store.put(corpusKey('drop', 'whole.wav'), toneWav());
  pipeline.start('ingest', 'features');
  await pipeline.until('tiles of the whole one', () => pipeline.logOf('features').includes('made tiles'));
  expect(overview.reconcile().inFlight, 'its shard is open').toEqual(['drop/whole.wav']);
  expect(await group.members()).toBe(1);
  const before = await cpuSeconds();
  // After SIGTERM features waits 4 s for files in hand. This file takes longer, also on an idle machine.
  await store.put(corpusKey('drop', 'long.wav'), endlessWav({ hours: 20 }));
  const isInFlight = (): boolean => overview.reconcile().inFlight.length === 2;
  await pipeline.until('the work on the long file', async () => isInFlight() && (await cpuSeconds()) > before + 1);
  expect(overview.reconcile().inFlight.sort()).toEqual(['drop/long.wav', 'drop/whole.wav']);

  expect(await pipeline.stopGently('features'), pipeline.logOf('features').slice(-2_000)).toBe(0);
  expect(await group.members()).toBe(0);
  expect(await group.committed(), 'of the whole one, not of the long one').toBe(1);
  await pipeline.until('the shard of the whole one', () => overview.reconcile().inShards === 1);
  expect(overview.reconcile().inFlight).toEqual(['drop/long.wav']);
  expect(overview.deadLetters, 'a stop is no fault of the file').toEqual([]);

  // The settings and so the group are the same. The file comes again, now with a shorter time limit.
  const impatient = await pipeline.startTwin('features-2', { FILE_TIMEOUT: '1' });
  expect(impatient).toContain('http');
  await pipeline.until('the long one put aside', () => overview.reconcile().deadLettered === 1);
  expect(overview.deadLetters.map(({ code, utteranceId }) => `${code} ${utteranceId}`)).toEqual(['AUDIO_DECODE_TIMEOUT drop/long.wav']);
  await pipeline.until('it to be committed', async () => (await group.committed()) === 2);
  expect(overview.snapshot().streams.unlabelled.shards).toBe(1);
});
