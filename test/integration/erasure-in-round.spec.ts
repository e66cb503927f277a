/** A real trainer in a long round: erasure takes effect at the next batch, and the compute process blocks nothing else. */
import { execFileSync } from 'node:child_process';
import { afterEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { isWithheld } from '#corpora/splits.js';
import { newestCheckpoints, type Checkpoint } from '#rounds/checkpoint-store.js';
import { putMadeCorpus, toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
afterEach(async () => pipeline.close());

async function newestOf(runId: string): Promise<Checkpoint | null> {
  const { value } = await newestCheckpoints(pipeline.store, runId, () => undefined).next();
  return value ?? null;
}

/** Starts a round that does not end by itself. @returns the recordings of the round */
async function longRound(): Promise<string[]> {
  pipeline = new RunningPipeline({ ROUND_STEPS: '1000000', ROUND_QUIET: '1', CHECKPOINT_STEPS: '20' });
  await pipeline.prepare();
  const { store, overview } = pipeline;
  const { paths } = await putMadeCorpus(store, 'made', { speakers: 5, each: 2 });
  pipeline.start('ingest', 'features');
  await pipeline.until('all in shards', () => overview.reconcile().inShards === paths.length);
  pipeline.start('trainer');
  await pipeline.until('the middle of a round', () => lastStep() >= 20);
  return paths.filter((path) => {
    const [speaker = ''] = path.split('/');
    return !['s0', 's1'].includes(speaker) && !isWithheld('train', `made/${speaker}`, `made/${path}`);
  });
}
const lastStep = (): number => pipeline.overview.snapshot().training.steps.at(-1)?.step ?? 0;

const erasedOfMetrics = async (): Promise<number> => {
  const metrics = await (await fetch(`${pipeline.url('trainer')}/metrics`)).text();
  return Number(/^undertone_trainer_erased_utterances_total(?:\{[^}]*\})? (\S+)/m.exec(metrics)?.[1] ?? 0);
};

it('removes a deleted and a replaced utterance from the running round', async () => {
  const [deleted = '', replaced = ''] = await longRound();
  const { store, overview } = pipeline;
  expect(await erasedOfMetrics()).toBe(0);
  expect(pipeline.logOf('trainer')).not.toContain('erased utterances from the round');
  const runId = overview.snapshot().training.started?.runId ?? '';

  await store.delete(corpusKey('made', deleted));
  await pipeline.until('the deleted one out of the round', async () => (await erasedOfMetrics()) === 1);
  const erasedAt = lastStep();
  await store.put(corpusKey('made', replaced), toneWav({ pitchHz: 333 }));
  await pipeline.until('the replaced one too', async () => (await erasedOfMetrics()) === 2);
  const told = (): string[] =>
    pipeline
      .logOf('trainer')
      .split('\n')
      .filter((line) => line.includes('erased utterances from the round'));
  await pipeline.until('both in the log, which takes another way than the metrics', () => told().length === 2);
  expect(told().map((line) => (JSON.parse(line) as { utterances: number }).utterances)).toEqual([1, 1]);

  await pipeline.until('the same round to go on', () => lastStep() >= erasedAt + 40);
  await pipeline.until('a checkpoint that says so', async () => (await newestOf(runId))?.erasedInRound === 2);
  expect(await newestOf(runId)).toMatchObject({ round: 1, complete: false });
  expect(overview.snapshot().training).toMatchObject({ finished: null, started: { round: 1 } });
});

it('follows its topics and answers while the compute process is stopped', async () => {
  await longRound();
  const children = execFileSync('pgrep', ['-P', String(pipeline.pidOf('trainer'))], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(Number);
  expect(children).toHaveLength(1);
  const [compute = 0] = children;
  const status = async (): Promise<{ tiles: { unlabelled: number }; state: string }> =>
    (await (await fetch(`${pipeline.url('trainer')}/status`)).json()) as { tiles: { unlabelled: number }; state: string };
  process.kill(compute, 'SIGSTOP');
  try {
    expect(await status()).toMatchObject({ state: 'training', tiles: { unlabelled: 0 } });
    for (const [i, pitchHz] of [210, 220, 230].entries()) {
      await pipeline.store.put(corpusKey('late', `u${i}.wav`), toneWav({ pitchHz }));
      await pipeline.until('the newcomer in the index', async () => (await status()).tiles.unlabelled === i + 1);
    }
    for (const check of ['live', 'ready']) expect((await fetch(`${pipeline.url('trainer')}/health/${check}`)).status, check).toBe(200);
  } finally {
    process.kill(compute, 'SIGCONT');
  }
  const stoodAt = lastStep();
  await pipeline.until('the round to go on', () => lastStep() > stoodAt);
});
