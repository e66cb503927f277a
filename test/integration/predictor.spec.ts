/** The predictor on real components: scores in the topic, the same numbers over HTTP, deletions, and kill -9. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type DeadLetter, deadLetters } from '#contracts/dead-letters.js';
import { emotions, type UtteranceScored } from '#contracts/emotions.js';
import { corpusKey } from '#contracts/object-keys.js';
import { topicName } from '#contracts/topic.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { packageRoot } from '#service/package-root.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { TableFollower } from '#streaming/table-follower.js';
import { undertone } from './command-line.js';
import { putMadeCorpus, toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

const token = 'a-token-of-the-predictor';
let pipeline: RunningPipeline;
let follower: TableFollower;
/** Each record of the topic, in order. */
let records: { key: string; fact: UtteranceScored | null }[];
/** The topic as a reader of it holds it. */
let scores: Map<string, UtteranceScored>;
/** Each dead letter, in order. */
let letters: DeadLetter[];
let paths: string[];

async function follow(): Promise<void> {
  records = [];
  letters = [];
  scores = new Map();
  const kafka = kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-test', pino({ level: 'silent' }));
  follower = new TableFollower(kafka, pipeline.prefix, 'emotions', pino({ level: 'silent' }))
    .on(emotions, (key, fact) => {
      records.push({ key, fact });
      if (fact) scores.set(key, fact);
      else scores.delete(key);
    })
    .on(deadLetters, (_key, letter) => {
      if (letter) letters.push(letter);
    });
  await follower.start();
}

const authorised = { authorization: `Bearer ${token}` };
async function ask(path: string, init: RequestInit = {}): Promise<{ status: number; type: string | null; body: Record<string, unknown> }> {
  const response = await fetch(`${pipeline.url('predictor')}${path}`, { ...init, headers: { ...authorised, ...init.headers } });
  return { status: response.status, type: response.headers.get('content-type'), body: (await response.json()) as Record<string, unknown> };
}

/** The probabilities of a score or a prediction, in one list. */
function numbersOf({ probabilities, tiles }: Pick<UtteranceScored, 'probabilities' | 'tiles'>): number[] {
  const ofTile = tiles.flatMap((tile) => Object.values(tile.probabilities).flat());
  return [...Object.values(probabilities).flatMap((classes) => Object.values(classes)), ...ofTile];
}
function expectSameNumbers(actual: unknown, expected: UtteranceScored): void {
  const [left, right] = [numbersOf(actual as UtteranceScored), numbersOf(expected)];
  expect(left).toHaveLength(right.length);
  for (const [at, value] of left.entries()) expect(Math.abs(value - (right[at] as number))).toBeLessThan(1e-4);
}

beforeAll(async () => {
  pipeline = new RunningPipeline({ API_TOKEN: token, RESCORE: 'new' });
  await pipeline.prepare();
  await follow();
  ({ paths } = await putMadeCorpus(pipeline.store, 'made', { speakers: 6, each: 2 }));
  pipeline.start('ingest', 'features', 'trainer', 'predictor');
  await pipeline.until('a score of each utterance', () => scores.size === paths.length, 180);
  // Later rounds would only disturb.
  await pipeline.kill('trainer');
}, 240_000);
afterAll(async () => {
  await follower.stop();
  await pipeline.close();
});
afterEach(() => expect(pipeline.hasExited('predictor')).toBe(false));

const wav = toneWav({ pitchHz: 333, durationSec: 4 });

/** The first and the last quarter of the sound become silence. */
function withSilentEnds(given: Uint8Array): Uint8Array {
  const header = 44;
  const quarter = Math.floor((given.length - header) / 8) * 2;
  return Uint8Array.from(given, (byte, at) => (at >= header && (at < header + quarter || at >= given.length - quarter) ? 0 : byte));
}

describe('the predictor', () => {
  it('scores each utterance with the model and the version that the topic knows', () => {
    const [path = ''] = paths;
    const score = scores.get(`made/${path}`);
    expect(score).toMatchObject({
      model: { target: 'emotion', champion: null },
      classes: { emotion: ['angry', 'happy', 'neutral', 'sad'] },
    });
    expect(score?.tiles[0]).toMatchObject({ startSec: 0 });
    const sum = Object.values(score?.probabilities.emotion ?? {}).reduce((total, share) => total + share, 0);
    expect(sum).toBeCloseTo(1, 4);
  });

  it('gives the same numbers for a new recording in the bucket, for the posted file and for its key', async () => {
    await pipeline.store.put(corpusKey('new', 'tone.wav'), wav);
    await pipeline.until('the score of the new recording', () => scores.has('new/tone.wav'));
    const stored = scores.get('new/tone.wav') as UtteranceScored;
    expect(stored.tiles).toHaveLength(2);
    const posted = await ask('/predict', { method: 'POST', body: wav, headers: { 'content-type': 'audio/wav' } });
    expect(posted).toMatchObject({ status: 200, body: { model: stored.model, settingsHash: stored.settingsHash, audioSec: 4 } });
    expectSameNumbers(posted.body, stored);
    expect(posted.body['tiles']).toMatchObject(stored.tiles.map(({ startSec, endSec }) => ({ startSec, endSec })));

    const form = new FormData();
    form.set('file', new Blob([wav]), 'tone.wav');
    expectSameNumbers((await ask('/predict', { method: 'POST', body: form })).body, stored);

    const named = {
      method: 'POST',
      body: JSON.stringify({ key: corpusKey('new', 'tone.wav') }),
      headers: { 'content-type': 'application/json' },
    };
    expectSameNumbers((await ask('/predict', named)).body, stored);

    const known = await ask('/utterances/new/tone.wav');
    expect(known).toMatchObject({
      status: 200,
      body: { version: stored.version, state: 'scored', published: { version: stored.version } },
    });
    expectSameNumbers(known.body['score'], stored);
  });

  it('gives the same numbers for the streamed samples, and answers every second', async () => {
    const stored = scores.get('new/tone.wav') as UtteranceScored;
    const socket = new WebSocket(`${pipeline.url('predictor').replace('http', 'ws')}/stream?rate=16000`);
    const messages: Record<string, unknown>[] = [];
    socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString()) as Record<string, unknown>));
    await pipeline.until('the stream to begin', () => messages.length === 1);
    socket.send(Buffer.from(wav).subarray(44));
    socket.send('end');
    await pipeline.until('the end of the stream', () => messages.some(({ type }) => type === 'ended'));
    expect(messages.map(({ type, startSec }) => `${String(type)} ${String(startSec)}`)).toEqual([
      ...['started undefined', 'window 0', 'window 1', 'whole 0', 'ended undefined'],
    ]);
    expectSameNumbers(messages[3]?.['score'], stored);
  });

  it('answers the example that streams samples', async () => {
    const child = spawn(process.execPath, [join(packageRoot, 'examples/stream-audio.ts')], {
      env: { ...process.env, PREDICTOR_URL: pipeline.url('predictor') },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (piece: Buffer) => (text += piece.toString()));
    child.stdin.end(Buffer.from(wav).subarray(44));
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(0);
    const starts = text.split('\n').flatMap((line) => (line === '' ? [] : [line.split(':')[0]]));
    expect(starts).toEqual(['0.0–2.6 s', '1.0–3.6 s', 'the whole']);
  });

  it('gives the same numbers as the command predict, with and without windows', async () => {
    const stored = scores.get('new/tone.wav') as UtteranceScored;
    const file = join(pipeline.logsDir, 'tone.wav');
    writeFileSync(file, wav);
    const answer = await undertone(pipeline, 'predict', file, '--json', '--every', '1');
    const [prediction] = answer.json<{ predictions: { emotion: Record<string, number>; windows: { startSec: number }[] }[] }>().predictions;
    for (const [name, share] of Object.entries(stored.probabilities.emotion ?? {}))
      expect(Math.abs((prediction?.emotion[name] ?? 0) - share)).toBeLessThan(1e-4);
    expect(prediction?.windows.map(({ startSec }) => startSec)).toEqual([0, 1]);
    expect(answer.errors).not.toContain('worse predictions');
  });

  it('cuts the silence of a posted file as that of a recording in the bucket, and so does the command', async () => {
    const padded = withSilentEnds(wav);
    await pipeline.store.put(corpusKey('new', 'padded.wav'), padded);
    await pipeline.until('the score of the padded recording', () => scores.has('new/padded.wav'));
    const stored = scores.get('new/padded.wav') as UtteranceScored;
    const posted = await ask('/predict', { method: 'POST', body: padded, headers: { 'content-type': 'audio/wav' } });
    expect(posted.body['keptSec']).toBeLessThan(posted.body['audioSec'] as number);
    expectSameNumbers(posted.body, stored);
    const file = join(pipeline.logsDir, 'padded.wav');
    writeFileSync(file, padded);
    const answer = await undertone(pipeline, 'predict', file, '--json');
    const [prediction] = answer.json<{ predictions: { emotion: Record<string, number> }[] }>().predictions;
    for (const [name, share] of Object.entries(stored.probabilities.emotion ?? {}))
      expect(Math.abs((prediction?.emotion[name] ?? 0) - share)).toBeLessThan(1e-4);
  });

  it('answers every second of a recording', async () => {
    const { body } = await ask('/predict?hop=1', { method: 'POST', body: wav, headers: { 'content-type': 'audio/wav' } });
    const windows = body['windows'] as { startSec: number }[];
    expect(windows.map(({ startSec }) => startSec)).toEqual([0, 1]);
  });

  it('names the served model, and describes itself', async () => {
    const [score] = scores.values();
    expect((await ask('/champion')).body).toEqual({ served: score?.model, champions: [] });
    const { models } = (await ask('/models')).body as { models: { isServed: boolean; step: number }[] };
    expect(models.filter(({ isServed }) => isServed)).toMatchObject([{ step: score?.model.step }]);
    expect((await ask('/openapi.json')).body).toMatchObject({ openapi: '3.1.0' });
    expect((await ask('/status')).body).toMatchObject({ utterances: { due: 0 }, problem: null });
  });

  it.each([
    [
      'bytes that are no audio',
      '/predict',
      { method: 'POST', body: 'no audio at all', headers: { 'content-type': 'audio/wav' } },
      422,
      'AUDIO_NOT_RECOGNISED',
    ],
    ['an empty body', '/predict', { method: 'POST', headers: { 'content-type': 'audio/wav' } }, 400, 'REQUEST_INVALID'],
    [
      'a key outside corpora/',
      '/predict',
      { method: 'POST', body: '{"key":"state/a"}', headers: { 'content-type': 'application/json' } },
      400,
      'REQUEST_INVALID',
    ],
    [
      'an object that is not there',
      '/predict',
      { method: 'POST', body: '{"key":"corpora/no/a.wav"}', headers: { 'content-type': 'application/json' } },
      404,
      'OBJECT_GONE',
    ],
    ['an unknown utterance', '/utterances/no/a.wav', {}, 404, 'UTTERANCE_UNKNOWN'],
    [
      'a wrong query',
      '/predict?hop=never',
      { method: 'POST', body: wav, headers: { 'content-type': 'audio/wav' } },
      400,
      'REQUEST_INVALID',
    ],
  ] satisfies [string, string, RequestInit, number, string][])('refuses %s with a code', async (_what, path, init, status, code) => {
    const { body, ...answer } = await ask(path, init);
    expect(answer).toEqual({ status, type: 'application/problem+json; charset=utf-8' });
    expect(body).toMatchObject({ status, code });
  });

  it('refuses a write without the token', async () => {
    const response = await fetch(`${pipeline.url('predictor')}/predict`, { method: 'POST', body: wav });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ status: 401 });
  });

  it('withdraws the score of a deleted recording', async () => {
    await pipeline.store.put(corpusKey('new', 'short-lived.wav'), toneWav({ pitchHz: 222 }));
    await pipeline.until('its score', () => scores.has('new/short-lived.wav'));
    await pipeline.store.delete(corpusKey('new', 'short-lived.wav'));
    await pipeline.until('its tombstone', () => records.some(({ key, fact }) => key === 'new/short-lived.wav' && fact === null));
    expect(scores.has('new/short-lived.wav')).toBe(false);
    expect(await ask('/utterances/new/short-lived.wav')).toMatchObject({ status: 404 });
  });

  it('scores nothing twice and misses nothing after kill -9 in the middle of a backlog', async () => {
    const before = records.length;
    await pipeline.kill('predictor');
    const ids = Array.from({ length: 30 }, (_, at) => `many/u${at}.wav`);
    for (const [at, id] of ids.entries()) await pipeline.store.put(`corpora/${id}`, toneWav({ pitchHz: 150 + at }));
    await pipeline.until('all in shards', () => pipeline.overview.reconcile().inShards >= ids.length + paths.length + 1);
    pipeline.start('predictor');
    await pipeline.until('the first scores', () => records.length > before);
    await pipeline.kill('predictor');
    pipeline.start('predictor');
    await pipeline.until('all scores', () => ids.every((id) => scores.has(id)));
    await follower.sync();
    const ofBacklog = records.slice(before).map(({ key, fact }) => `${key}@${fact?.version}@${fact?.model.step}`);
    expect([...ofBacklog].sort()).toEqual(ids.map((id) => `${id}@${scores.get(id)?.version}@${scores.get(id)?.model.step}`).sort());
  });

  it('writes one letter for an unreadable record of its topic, also after a restart', async () => {
    const kafka = kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-test', pino({ level: 'silent' }));
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: topicName(emotions, pipeline.prefix), messages: [{ key: 'junk/a.wav', value: 'no JSON' }] });
    await producer.disconnect();
    await pipeline.until('the letter', () => letters.length > 0);
    await pipeline.kill('predictor');
    pipeline.start('predictor');
    await pipeline.store.put(corpusKey('later', 'a.wav'), toneWav({ pitchHz: 222 }));
    await pipeline.until('a later score', () => scores.has('later/a.wav'));
    await follower.sync();
    expect(letters.map(({ stage, code, origin }) => [stage, code, origin.topic])).toEqual([
      ['predictor', 'RECORD_INVALID', topicName(emotions, pipeline.prefix)],
    ]);
  });
});
