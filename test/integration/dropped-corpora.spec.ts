/** Corpora in real forms: archives, the layout of a licensed corpus, late labels, two corpora in one folder. */
import { gzipSync } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { afterEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { readCorpusWarnings } from '../../apps/cli/src/corpus-warnings.js';
import { toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
afterEach(async () => pipeline.close());

async function started(settings?: Record<string, string>): Promise<RunningPipeline> {
  pipeline = new RunningPipeline(settings);
  await pipeline.prepare();
  pipeline.start('ingest', 'features');
  return pipeline;
}

const settled =
  (inShards: number, deadLettered = 0) =>
  () => {
    const counts = pipeline.overview.reconcile();
    return counts.inShards === inShards && counts.deadLettered === deadLettered && counts.inFlight.length === 0;
  };
const streams = () => {
  const { labelled, unlabelled } = pipeline.overview.snapshot().streams;
  return { labelled: labelled.utterances, unlabelled: unlabelled.utterances };
};

async function tarGz(files: Record<string, Uint8Array | string>): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(files)) tar.entry({ name }, Buffer.from(content));
  tar.finalize();
  return gzipSync(await buffer(tar));
}

it('unpacks an archive once into its labelled recordings, and dead-letters a bad archive', async () => {
  const { store } = await started();
  const files = {
    './README.txt': 'not taken',
    './a/1.wav': toneWav({ pitchHz: 150 }),
    './a/2 ü+%.wav': toneWav({ pitchHz: 170 }),
    './b.wav': toneWav({ pitchHz: 190 }),
    './manifest.csv': 'path,speaker,emotion\na/1.wav,s1,sad\na/2 ü+%.wav,s2,angry\n',
  };
  await store.put(corpusKey('drop', 'all.tar.gz'), await tarGz(files));
  await pipeline.until('what was in it', settled(3));
  expect(streams()).toEqual({ labelled: 2, unlabelled: 1 });
  expect(await store.head(corpusKey('drop', 'README.txt'))).toBeNull();

  await store.delete(corpusKey('drop', 'b.wav'));
  await pipeline.until('one deleted by hand', settled(2));
  await pipeline.kill('ingest');
  pipeline.start('ingest');
  await store.put(corpusKey('drop', 'bad.zip'), 'PK, but no archive');
  await pipeline.until('a letter about the bad one', () => pipeline.overview.deadLetters.some(({ code }) => code === 'ARCHIVE_INVALID'));
  // The good archive was not unpacked again, so the deleted recording stays deleted.
  expect(await store.head(corpusKey('drop', 'b.wav'))).toBeNull();
  expect(settled(2)()).toBe(true);
});

it("reads IEMOCAP's tree with its own reader, and takes labels that come after their audio", async () => {
  const { store } = await started();
  const wav = (turn: string) => corpusKey('iemocap', `Session1/sentences/wav/Ses01F_impro01/${turn}.wav`);
  await store.put(wav('Ses01F_impro01_F000'), toneWav({ pitchHz: 200 }));
  await store.put(wav('Ses01F_impro01_F001'), toneWav({ pitchHz: 210 }));
  await store.put(wav('Ses01F_impro01_M000'), toneWav({ pitchHz: 110 }));
  await pipeline.until('audio alone', settled(3));
  expect(streams()).toEqual({ labelled: 0, unlabelled: 3 });

  const lines = [
    '% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]',
    '[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]',
    '[9.0000 - 9.9000]\tSes01F_impro01_F001\txxx\t[2.0000, 3.5000, 2.5000]',
  ];
  await store.put(corpusKey('iemocap', 'Session1/dialog/EmoEvaluation/Ses01F_impro01.txt'), lines.join('\n'));
  // If annotators do not agree on a category, activation and valence are still labels.
  await pipeline.until('labels', () => settled(3)() && streams().labelled === 2 && streams().unlabelled === 1);
  const metrics = await (await fetch(`${pipeline.url('ingest')}/metrics`)).text();
  expect(metrics).toMatch(/undertone_ingest_no_category_total\{reason="no agreement"\} 1/);
});

it('holds two corpora in one folder until a corpus.json names the reader', async () => {
  const { store } = await started();
  await store.put(corpusKey('mixed', 'wav/03a01Wa.wav'), toneWav({ pitchHz: 120 }));
  await store.put(corpusKey('mixed', 'Actor_12/03-01-05-01-02-01-12.wav'), toneWav({ pitchHz: 220 }));
  const complaints = () => pipeline.overview.deadLetters.filter(({ code }) => code === 'CORPUS_OPTIONS_INVALID');
  await pipeline.until('a complaint', () => complaints().length > 0);
  expect(complaints()[0]?.message).toMatch(/mixed looks like .*emodb.*corpus\.json/);
  await store.put(corpusKey('mixed', 'corpus.json'), '{"reader": "emodb"}');
  await pipeline.until('both recordings', () => settled(2)() && streams().labelled === 1);
});

it('finds labels in manifests of several programs, and status reports rows without a recording', async () => {
  const { store } = await started();
  const rows = 'path;emotion\r\naudio\\1.WAV;Joy\r\nC:\\calls\\audio\\2.wav;furious\r\nlost.wav;sad\r\n';
  await store.put(corpusKey('calls', 'corpus.json'), '{"labels": {"furious": "angry"}}');
  await store.put(corpusKey('calls', 'manifest.csv'), Buffer.from(`\ufeff${rows}`, 'utf16le'));
  await store.put(corpusKey('calls', 'audio/1.wav'), toneWav({ pitchHz: 150 }));
  await store.put(corpusKey('calls', 'audio/2.wav'), toneWav({ pitchHz: 170 }));
  await pipeline.until('both with labels', () => settled(2)() && streams().labelled === 2);
  await pipeline.kill('ingest');
  pipeline.start('ingest'); // lists at once
  await expect
    .poll(() => readCorpusWarnings(store), { timeout: 30_000 })
    .toEqual([
      {
        corpus: 'calls',
        since: expect.any(String),
        warnings: [
          expect.stringMatching(/^1 of 3 rows match no recording.*row 3: "lost\.wav"$/),
          expect.stringMatching(/^2 of 3 rows spell/),
        ],
      },
    ]);
  // A restarted process finds the same labels, so it makes no tile again.
  expect(settled(2)()).toBe(true);
});
