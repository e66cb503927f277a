/** Bad inputs: each becomes one dead letter, no service goes down, and good recordings beside them arrive. */
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { bucketEvents } from '#contracts/bucket-events.js';
import { corpusKey } from '#contracts/object-keys.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { silent } from '../chaos/stream-under-test.js';
import { toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
let publisher: Publisher;
beforeEach(async () => {
  pipeline = new RunningPipeline();
  await pipeline.prepare();
  publisher = new Publisher(kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-test', silent), pipeline.prefix);
  await publisher.connect();
});
afterEach(async () => {
  await publisher.close();
  await pipeline.close();
});

const lettersOf = (code: string) => pipeline.overview.deadLetters.filter((letter) => letter.code === code);
const record = (key: unknown) => ({ eventSource: 'ceph:s3', s3: { bucket: { name: pipeline.prefix }, object: { key } } });

it('writes one dead letter for each unusable event, manifest and archive, also after a restart', async () => {
  const { store, overview } = pipeline;
  await store.put(corpusKey('broken', 'manifest.jsonl'), '{"path":"a.wav"}\nnull\n');
  await store.put(corpusKey('broken', 'a.wav'), toneWav({ pitchHz: 140 }));
  await store.put(corpusKey('ctor', 'manifest.csv'), 'path,emotion\na.wav,constructor\n');
  await store.put(corpusKey('ctor', 'a.wav'), toneWav({ pitchHz: 150 }));
  await store.put(corpusKey('good', 'bad.zip'), 'PK, but no archive');
  await store.put(corpusKey('good', 'a.wav'), toneWav({ pitchHz: 160 }));
  pipeline.start('ingest');
  const events = [
    { Records: [null] },
    { Records: [record(7), record(corpusKey('good', 'x/../../y.wav')), record(corpusKey('good', 'a.wav'))] },
    { Messages: [null] },
    { Records: [record(corpusKey('good', 'nul\u0000.wav'))] },
  ];
  for (const event of events) await publisher.publish(bucketEvents, event);
  await pipeline.until('the good ones and all letters', () => {
    const { BUCKET_EVENT_UNRECOGNISED: events = 0, OBJECT_KEY_INVALID: keys = 0 } = overview.snapshot().deadLetters.byCode;
    return (
      overview.knows('good/a.wav') && overview.knows('ctor/a.wav') && events >= 2 && keys >= 2 && lettersOf('ARCHIVE_INVALID').length > 0
    );
  });
  await pipeline.until('the letters of the refused corpus', () => lettersOf('MANIFEST_INVALID').length === 2);
  expect(overview.snapshot().deadLetters.byCode).toEqual({
    MANIFEST_INVALID: 2,
    ARCHIVE_INVALID: 1,
    BUCKET_EVENT_UNRECOGNISED: 2,
    OBJECT_KEY_INVALID: 2,
  });
  expect(
    lettersOf('MANIFEST_INVALID')
      .map(({ objectKey, message }) => [objectKey, /manifest\.jsonl, line 2/.test(message)])
      .sort(),
  ).toEqual([
    [corpusKey('broken', 'a.wav'), true],
    [corpusKey('broken', 'manifest.jsonl'), true],
  ]);

  // Ingest remembers refusals, so a restart hints at none of these objects again.
  const letters = overview.deadLetters.map(({ failedAt }) => failedAt).sort();
  await pipeline.stopGently('ingest');
  pipeline.start('ingest');
  const listings = () => pipeline.logOf('ingest').split('listed the bucket').length - 1;
  const before = listings();
  await pipeline.until('a listing', () => listings() > before);
  await store.put(corpusKey('good', 'later.wav'), toneWav({ pitchHz: 170 }));
  await pipeline.until('a later recording', () => overview.knows('good/later.wav'));
  expect(overview.deadLetters.map(({ failedAt }) => failedAt).sort()).toEqual(letters);

  // The corpus recovers by itself when its file is corrected.
  await store.put(corpusKey('broken', 'manifest.jsonl'), '{"path":"a.wav","emotion":"sad"}\n');
  await pipeline.until('the mended corpus', () => overview.snapshot().utterances.byCorpus['broken'] === 1);
});

it('resumes an archive after kill -9', async () => {
  const { store, overview } = pipeline;
  const count = 120;
  const tar = pack();
  for (let i = 0; i < count; i++) tar.entry({ name: `${i}.wav` }, Buffer.from(toneWav({ pitchHz: 100 + i, durationSec: 0.1 })));
  tar.finalize();
  await store.put(corpusKey('drop', 'all.tar'), await buffer(tar));
  pipeline.start('ingest');
  await pipeline.until('some of it', () => overview.reconcile().utterances > 5, 20);
  await pipeline.kill('ingest');
  pipeline.start('ingest');
  await pipeline.until('all of it', () => overview.reconcile().utterances === count);
  expect(overview.deadLetters).toEqual([]);
});
