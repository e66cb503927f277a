/** Dead letters with all services: repeats count once, replay uses the current object, and verify counts them. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deadLetters, type DeadLetter } from '#contracts/dead-letters.js';
import { corpusKey, predictionsKey } from '#contracts/object-keys.js';
import { predictions, type PredictionsWritten } from '#contracts/predictions.js';
import { Supervisor } from '#embedded/supervisor.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { packageRoot } from '#service/package-root.js';
import { sha256Hex } from '#storage/object-store.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower } from '#streaming/table-follower.js';
import { MadeModels } from '#rounds/made-models.fixture.js';
import { silent } from '../chaos/stream-under-test.js';
import { undertone } from './command-line.js';
import { FeaturesGroup } from './features-group.js';
import { toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
let follower: TableFollower;
/** Every record of the topic, repeats too. */
const letters: DeadLetter[] = [];
const open: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  letters.length = 0;
  // No listing runs here, so hints cause all changes.
  pipeline = new RunningPipeline({ RECONCILE_INTERVAL: '3600' });
  await pipeline.prepare();
  const kafka = kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-test', silent);
  follower = new TableFollower(kafka, pipeline.prefix, 'letters', silent).on(deadLetters, (_key, fact) => fact && letters.push(fact));
  await follower.start();
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
  await follower.stop();
  await pipeline.close();
});

interface Account {
  utterances: number;
  inShards: number;
  deadLettered: number;
  inFlight: string[];
}

async function verified(): Promise<Account & { code: number | null }> {
  const answer = await undertone(pipeline, 'verify', '--json');
  return { code: answer.code, ...answer.json<Account>() };
}

describe('a broken recording', () => {
  it('becomes one dead letter for repeated records; replay reads the current object; verify accounts for it', async () => {
    const { store, overview } = pipeline;
    const bad = corpusKey('made', 'bad.wav');
    await store.put(bad, 'no sound at all');
    await store.put(corpusKey('made', 'good.wav'), toneWav());
    pipeline.start('ingest', 'features');
    await pipeline.until('both settled', () => overview.reconcile().inShards === 1 && overview.reconcile().deadLettered === 1);
    const group = await new FeaturesGroup(pipeline).connect();
    open.push(() => group.close());
    await pipeline.until('both committed', async () => (await group.committed()) === 2);
    expect(await verified()).toEqual({ code: 0, utterances: 2, inShards: 1, deadLettered: 1, inFlight: [] });

    // All records come again, as after a crash that lost every commit.
    await pipeline.stopGently('features');
    await group.rewind();
    pipeline.start('features');
    await pipeline.until('the letter again', () => letters.length === 2);
    await pipeline.until('both committed again', async () => (await group.committed()) === 2);
    expect(letters.map(({ stage, utteranceId, code }) => [stage, utteranceId, code])).toEqual(
      [1, 2].map(() => ['features', 'made/bad.wav', 'AUDIO_NOT_RECOGNISED']),
    );
    expect(new Set(letters.map(({ version }) => version)).size).toBe(1);
    expect(overview.snapshot().deadLetters).toMatchObject({ total: 1, byCode: { AUDIO_NOT_RECOGNISED: 1 } });
    expect(await verified()).toEqual({ code: 0, utterances: 2, inShards: 1, deadLettered: 1, inFlight: [] });

    // Another version that fails in the same way gets another dead letter.
    const [{ version: brokenVersion } = {}] = letters;
    await store.put(bad, 'still no sound');
    expect((await undertone(pipeline, 'replay')).text).toContain('1 objects are tried again (1 dead letters)');
    await pipeline.until('a letter of what is there now', () => overview.deadLetters.length === 2);
    expect(letters.at(-1)?.version).not.toBe(brokenVersion);

    await store.put(bad, toneWav({ pitchHz: 300 }));
    expect((await undertone(pipeline, 'replay', '--code', 'AUDIO_EMPTY')).text).toContain('0 objects');
    expect((await undertone(pipeline, 'replay', '--dry-run')).text).toContain('AUDIO_NOT_RECOGNISED  corpora/made/bad.wav');
    expect((await undertone(pipeline, 'replay', '--code', 'AUDIO_NOT_RECOGNISED')).code).toBe(0);
    await pipeline.until('its tiles', () => overview.reconcile().inShards === 2);
    expect(overview.unresolvedDeadLetters).toEqual([]);
    expect(await verified()).toEqual({ code: 0, utterances: 2, inShards: 2, deadLettered: 0, inFlight: [] });
    expect((await undertone(pipeline, 'replay')).text).toContain('0 objects are tried again (0 dead letters)');

    // verify names recordings in flight, also if ingest has not seen them.
    await pipeline.stopGently('features');
    await store.put(corpusKey('made', 'seen.wav'), toneWav({ pitchHz: 200 }));
    await pipeline.stopGently('ingest');
    pipeline.start('ingest');
    await pipeline.until('ingest to have seen it', () => overview.knows('made/seen.wav'));
    await pipeline.stopGently('ingest');
    await store.put(corpusKey('made', 'unseen.wav'), toneWav({ pitchHz: 210 }));
    const account = await verified();
    expect({ ...account, inFlight: account.inFlight.sort() }).toEqual({
      code: 1,
      utterances: 4,
      inShards: 2,
      deadLettered: 0,
      inFlight: ['made/seen.wav', 'made/unseen.wav'],
    });
    // The metric has those that ingest has seen.
    pipeline.start('evaluator');
    await pipeline.until('the metrics', async () => {
      const metrics = await fetch(`${pipeline.url('evaluator')}/metrics`).then(
        (answer) => answer.text(),
        () => '',
      );
      return /^undertone_evaluator_in_flight_utterances 1$/m.test(metrics) && /^undertone_evaluator_live_utterances 3$/m.test(metrics);
    });
  });
});

describe('a record on which a stage fails', () => {
  it('becomes a dead letter UNKNOWN_REPEATED at the third failure; the process and the next records continue', async () => {
    const { store, environment, logsDir, prefix, overview } = pipeline;
    const models = new MadeModels(store);
    // The file matches its announcement, but holds no predictions. No code expects this case.
    const garbage = randomBytes(64);
    const objectKey = predictionsKey({ runId: 'made', step: 50, task: 'emotion', sha256: sha256Hex(garbage) });
    await store.put(objectKey, garbage);
    const whole: PredictionsWritten = await models.write({ step: 100, right: 5 });
    const publisher = new Publisher(kafkaClient(readKafkaConnection(environment), 'undertone-test', silent), prefix);
    await publisher.connect();
    open.push(() => publisher.close());
    await publisher.publish(predictions, { ...whole, step: 50, objectKey, sha256: sha256Hex(garbage) }, whole);

    const supervisor = new Supervisor({ logsDir, backoff: { firstMs: 100, maxMs: 500 } });
    open.push(() => supervisor.stop({ graceMs: 5_000 }));
    supervisor.start({
      name: 'evaluator',
      command: process.execPath,
      args: [join(packageRoot, 'dist/apps/evaluator/src/main.js')],
      env: environment,
    });
    await vi.waitFor(() => expect(overview.evaluationsOf('made', 100)).not.toEqual([]), { timeout: 120_000, interval: 200 });
    expect(letters.map(({ stage, code, origin }) => [stage, code, origin.offset])).toEqual([['evaluator', 'UNKNOWN_REPEATED', '0']]);
    expect(letters[0]?.message).toMatch(/^An unknown error failed this record 3 times: /);
    expect(supervisor.stateOf('evaluator')).toMatchObject({ restarts: 0, state: 'running' });
    expect(overview.evaluationsOf('made', 50)).toEqual([]);
  });
});
