/** Erasure while a real trainer is in the middle of a long round: it takes effect at the next batch, and the round goes on. */
import { afterEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { isWithheld } from '#corpora/splits.js';
import { newestCheckpoints, type Checkpoint } from '#training/checkpoint-store.js';
import { putMadeCorpus, toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
afterEach(async () => pipeline.close());

async function newestOf(runId: string): Promise<Checkpoint | null> {
  const { value } = await newestCheckpoints(pipeline.store, runId, () => undefined).next();
  return value ?? null;
}

const erasedOfMetrics = async (): Promise<number> => {
  const metrics = await (await fetch(`${pipeline.url('trainer')}/metrics`)).text();
  return Number(/^undertone_trainer_erased_utterances_total(?:\{[^}]*\})? (\S+)/m.exec(metrics)?.[1] ?? 0);
};

it('takes an utterance that is deleted, and one that is replaced, out of the round that is running', async () => {
  pipeline = new RunningPipeline({ ROUND_STEPS: '1000000', ROUND_QUIET: '1', CHECKPOINT_STEPS: '20' });
  await pipeline.prepare();
  const { store, overview } = pipeline;
  const { paths } = await putMadeCorpus(store, 'made', { speakers: 5, each: 2 });
  pipeline.start('ingest', 'features');
  await pipeline.until('all in shards', () => overview.reconcile().inShards === paths.length);
  pipeline.start('trainer');
  const lastStep = (): number => overview.snapshot().training.steps.at(-1)?.step ?? 0;
  await pipeline.until('the middle of a round', () => lastStep() >= 20);
  expect(await erasedOfMetrics()).toBe(0);
  expect(pipeline.logOf('trainer')).not.toContain('erased from the round');
  const runId = overview.snapshot().training.started?.runId ?? '';

  const [deleted = '', replaced = ''] = paths.filter((path) => {
    const [speaker = ''] = path.split('/');
    return !['s0', 's1'].includes(speaker) && !isWithheld('train', `made/${speaker}`, `made/${path}`);
  });
  await store.delete(corpusKey('made', deleted));
  await pipeline.until('the deleted one out of the round', async () => (await erasedOfMetrics()) === 1);
  const erasedAt = lastStep();
  await store.put(corpusKey('made', replaced), toneWav({ pitchHz: 333 }));
  await pipeline.until('the replaced one too', async () => (await erasedOfMetrics()) === 2);
  const told = pipeline
    .logOf('trainer')
    .split('\n')
    .filter((line) => line.includes('erased from the round'));
  expect(told.map((line) => (JSON.parse(line) as { utterances: number }).utterances)).toEqual([1, 1]);

  await pipeline.until('the same round to go on', () => lastStep() >= erasedAt + 40);
  await pipeline.until('a checkpoint that says so', async () => (await newestOf(runId))?.erasedInRound === 2);
  expect(await newestOf(runId)).toMatchObject({ round: 1, complete: false });
  expect(overview.snapshot().training).toMatchObject({ finished: null, started: { round: 1 } });
});
