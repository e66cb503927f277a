/** Late records on `utterances`, and objects that change during processing: ingest returns to the true state. */
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hintAt, objectHints, type ObjectHint } from '#contracts/object-hints.js';
import { corpusKey, sweptAnnotationsKey } from '#contracts/object-keys.js';
import { utterances, type UtteranceIngested } from '#contracts/utterances.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower } from '#streaming/table-follower.js';
import { toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

const id = 'made/1.wav';
const logger = pino({ level: 'silent' });
let pipeline: RunningPipeline;
let publisher: Publisher;
let follower: TableFollower;
const records: (UtteranceIngested | null)[] = [];
const hints: ObjectHint[] = [];

beforeEach(async () => {
  records.length = 0;
  hints.length = 0;
  pipeline = new RunningPipeline({ RECONCILE_INTERVAL: '1' });
  await pipeline.prepare();
  const kafka = kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-test', logger);
  publisher = new Publisher(kafka, pipeline.prefix);
  await publisher.connect();
  follower = new TableFollower(kafka, pipeline.prefix, 'late-records', logger)
    .on(utterances, (_id, record) => records.push(record))
    .on(objectHints, (_key, hint) => hint && hints.push(hint));
  await follower.start();
  await pipeline.store.put(corpusKey('made', 'manifest.csv'), 'path,speaker,emotion\n1.wav,anna,sad\n');
  await pipeline.store.put(corpusKey('made', '1.wav'), toneWav());
});

afterEach(async () => {
  await follower.stop();
  await publisher.close();
  await pipeline.close();
});

const ingested = async (): Promise<UtteranceIngested> => {
  await pipeline.until('a record', () => records.length > 0);
  return records[0] as UtteranceIngested;
};
const last = (): UtteranceIngested | null | undefined => records.at(-1);

describe('a record that a zombie writes late', () => {
  it('of the same bytes under older labels is corrected by the next listing, each time', async () => {
    pipeline.start('ingest');
    const right = await ingested();
    expect(right.labels.category).toBe('sad');
    const late = { ...right, version: '0123456789abcdef', labels: { ...right.labels, category: 'happy' as const } };
    for (const times of [1, 2, 3]) {
      await publisher.publish(utterances, late);
      await pipeline.until(`${times} times a late record, and a right one after it`, () => records.length === 1 + 2 * times);
      expect(last()).toMatchObject({ version: right.version, labels: { category: 'sad' } });
    }
  });

  it('of a deleted object gets a tombstone', async () => {
    pipeline.start('ingest');
    const right = await ingested();
    const gone = { ...right, utteranceId: 'made/gone.wav', objectKey: corpusKey('made', 'gone.wav') };
    await publisher.publish(utterances, gone);
    await pipeline.until('a tombstone', () => last() === null);
  });
});

describe('an object that had changed when features read it', () => {
  it('is ingested again when its old bytes return', async () => {
    pipeline.start('ingest');
    const { version, objectKey } = await ingested();
    const letGo = (letGoVersion: string): ObjectHint => ({ ...hintAt(objectKey, 'changed-underfoot'), letGoVersion });
    await publisher.publish(objectHints, letGo('an older version'), letGo(version));
    await pipeline.until('a second record', () => records.length === 2);
    expect(last()?.version).toBe(version);
  });

  it('is skipped by features, which reports the version', async () => {
    pipeline.start('ingest');
    const right = await ingested();
    await pipeline.stopGently('ingest');
    await pipeline.store.delete(right.objectKey);
    pipeline.start('features');
    await pipeline.until('a hint', () => hints.some(({ reason }) => reason === 'changed-underfoot'));
    expect(hints.at(-1)).toMatchObject({ key: right.objectKey, letGoVersion: right.version });
    expect(right.utteranceId).toBe(id);
  });
});

describe('a change of annotations', () => {
  it('hints only at the recordings that it changes', async () => {
    const manifest = corpusKey('made', 'manifest.csv');
    const { store } = pipeline;
    await store.put(corpusKey('made', '2.wav'), toneWav({ pitchHz: 200 }));
    const swept = async (): Promise<boolean> => {
      const state = (await store.findJson(sweptAnnotationsKey(manifest))) as { etag: string } | null;
      return state?.etag === (await store.head(manifest))?.etag;
    };
    pipeline.start('ingest');
    await pipeline.until('both records', async () => records.length >= 2 && (await swept()));
    hints.length = 0;
    await store.put(manifest, 'path,speaker,emotion\n1.wav,anna,sad\n2.wav,ben,happy\n');
    await pipeline.until('new labels', async () => last()?.labels.category === 'happy' && (await swept()));
    expect(hints.map(({ key }) => key)).toContain(corpusKey('made', '2.wav'));
    expect(hints.map(({ key }) => key)).not.toContain(corpusKey('made', '1.wav'));
  });
});
