/** Drops files of mixed format, fifty of them broken in fifteen ways, and checks that each ends in the right place, none twice, none lost. */
import { expect } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { brokenFiles, type DroppedFile, goodFiles } from './made-drop.js';
import { RunningPipeline } from './running-pipeline.js';

/** @param goodCount how many files are good */
export async function settleDrop(goodCount: number): Promise<void> {
  const [good, bad] = [goodFiles(goodCount), brokenFiles()];
  expect([good.length, bad.length]).toEqual([goodCount, 50]);
  const pipeline = new RunningPipeline({ SHARD_TILES: '256' });
  try {
    await pipeline.prepare();
    await dropAndSettle(pipeline, { good, bad });
  } finally {
    await pipeline.close();
  }
}

async function dropAndSettle(pipeline: RunningPipeline, { good, bad }: Record<'good' | 'bad', DroppedFile[]>): Promise<void> {
  const { store, overview } = pipeline;
  const files = [...good, ...bad];
  const put = async (queue: typeof files): Promise<void> => {
    const putters = Array.from({ length: 8 }, async () => {
      for (let file = queue.shift(); file; file = queue.shift()) await store.put(corpusKey('drop', file.path), file.bytes);
    });
    await Promise.all(putters);
  };
  // Some of the files are a few milliseconds of noise, in which no speech could be told from silence.
  await store.put(corpusKey('drop', 'corpus.json'), '{"silence": "none"}');
  // Half of the files exist before the services start, so the listing must find them. The other half comes later.
  await put(files.filter((_, i) => i % 2 === 0));
  pipeline.start('ingest', 'features');
  await put(files.filter((_, i) => i % 2 === 1));
  const begun = Date.now();
  await pipeline.until(
    'everything settled',
    () => {
      const { utterances, inFlight } = overview.reconcile();
      return utterances === good.length + bad.length && inFlight.length === 0;
    },
    200,
  );
  console.log(`settled ${((Date.now() - begun) / 1000).toFixed(1)} s after the last file was put`);

  const { inShards, deadLettered } = overview.reconcile();
  expect({ inShards, deadLettered }).toEqual({ inShards: good.length, deadLettered: bad.length });
  const codes = overview.deadLetters.map(({ utteranceId, code }) => `${utteranceId} ${code}`).sort();
  expect(codes).toEqual(bad.map(({ path, code }) => `drop/${path} ${code}`).sort());
}
