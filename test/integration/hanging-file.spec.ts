/** A file whose decoding never ends: features replaces its worker and writes a dead letter, and no other file waits. */
import { afterEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { endlessWav, toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
afterEach(async () => pipeline.close());

it('costs only the worker of the file', async () => {
  pipeline = new RunningPipeline({ FEATURE_WORKERS: '2', FILE_TIMEOUT: '2', MAX_DURATION_SEC: '40000', AUDIO_MEMORY_MB: '8000' });
  await pipeline.prepare();
  const { store, overview } = pipeline;
  const names = Array.from({ length: 2 }, (_, i) => `endless-${i}.wav`);
  for (const name of names) await store.put(corpusKey('drop', name), endlessWav());
  for (let i = 0; i < 60; i++) await store.put(corpusKey('drop', `short-${i}.wav`), toneWav({ pitchHz: 120 + i }));
  pipeline.start('ingest', 'features');
  await pipeline.until('all settled', () => {
    const { utterances, inFlight } = overview.reconcile();
    return utterances === 62 && inFlight.length === 0;
  });
  expect(overview.reconcile()).toMatchObject({ inShards: 60, deadLettered: 2 });
  expect(overview.deadLetters.map(({ code }) => code)).toEqual(names.map(() => 'AUDIO_DECODE_TIMEOUT'));
  expect(overview.deadLetters.map(({ utteranceId }) => utteranceId).sort()).toEqual(names.map((name) => `drop/${name}`));
  expect(pipeline.hasExited('features')).toBe(false);

  // The pool is complete again: both workers take files in parallel.
  for (let i = 0; i < 10; i++) await store.put(corpusKey('drop', `later-${i}.wav`), toneWav({ pitchHz: 220 + i }));
  await pipeline.until('those after it', () => overview.reconcile().inShards === 70);
});

it('refuses a file whose header gives too long a duration without reading it into memory', async () => {
  pipeline = new RunningPipeline();
  await pipeline.prepare();
  const { store, overview } = pipeline;
  for (const name of ['a', 'b', 'c']) await store.put(corpusKey('drop', `${name}.wav`), endlessWav());
  await store.put(corpusKey('drop', 'short.wav'), toneWav({}));
  pipeline.start('ingest', 'features');
  await pipeline.until('all settled', () => overview.reconcile().deadLettered === 3 && overview.reconcile().inShards === 1);
  expect(overview.deadLetters.map(({ code }) => code)).toEqual(['AUDIO_TOO_LONG', 'AUDIO_TOO_LONG', 'AUDIO_TOO_LONG']);
  const metrics = await (await fetch(`${pipeline.url('features')}/metrics`)).text();
  const residentMB = Number(/^process_resident_memory_bytes(?:\{[^}]*\})? (\S+)/m.exec(metrics)?.[1]) / 1e6;
  expect(residentMB).toBeGreaterThan(10);
  expect(residentMB).toBeLessThan(240); // the file alone is 144 MB
});
