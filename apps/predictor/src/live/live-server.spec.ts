import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { PipelineError } from '#contracts/pipeline-error.js';
import { readHttpAccess } from '#service/http-access.js';
import { LiveServer } from './live-server.js';

let server: Server;
let live: LiveServer;
let hasModel: boolean;
const limits = { mostStreams: 2, memoryBytes: 1e9, maxSec: 60, keptMs: 10_000 };

beforeEach(async () => {
  hasModel = true;
  server = createServer();
  live = new LiveServer({
    access: readHttpAccess('127.0.0.1', {}),
    limits,
    windowSec: () => (hasModel ? Promise.resolve(2.56) : Promise.reject(new PipelineError('MODEL_MISSING', 'There is no model yet.'))),
    score: (wav) => Promise.resolve({ sizeBytes: wav.length }),
    onError: (error) => {
      throw error;
    },
  });
  live.listen(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  live.close();
  await new Promise((resolve) => server.close(resolve));
});

interface Client {
  socket: WebSocket;
  messages: Record<string, unknown>[];
  closed: Promise<number>;
}
const connect = (query: string, headers: Record<string, string> = {}): Client => {
  const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/stream?${query}`, { headers });
  const messages: Record<string, unknown>[] = [];
  socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString()) as Record<string, unknown>));
  return { socket, messages, closed: new Promise((resolve) => socket.on('close', resolve)) };
};
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};
const secondsOf = (count: number, rate = 8_000): Buffer => Buffer.alloc(2 * rate * count);

describe('a client of /stream', () => {
  it('gets windows, the whole, and a close at the end', async () => {
    const { socket, messages, closed } = connect('rate=8000');
    await until(() => messages.length === 1);
    socket.send(secondsOf(4));
    socket.send('end');
    expect(await closed).toBe(1000);
    expect(messages.map(({ type }) => type)).toEqual(['started', 'window', 'window', 'whole', 'ended']);
    expect(messages[3]).toMatchObject({ channel: 0, startSec: 0, endSec: 4, score: { sizeBytes: 44 + 64_000 } });
  });

  it('resumes after a cut, and gets the answers that it missed', async () => {
    const first = connect('rate=8000');
    await until(() => first.messages.length === 1);
    first.socket.send(secondsOf(3));
    await until(() => first.messages.length === 2);
    first.socket.terminate();
    await first.closed;
    await until(() => live.count === 1);
    const again = connect(`resume=${String(first.messages[0]?.['resume'])}`);
    await until(() => again.messages.length === 1);
    expect(again.messages[0]).toEqual({ type: 'resumed', received: 24_000 });
    again.socket.send(secondsOf(1));
    again.socket.send('end');
    expect(await again.closed).toBe(1000);
    expect(again.messages.find(({ type }) => type === 'whole')).toMatchObject({ endSec: 4 });
  });

  it('is refused beyond the limit of streams, without a model, and with a wrong query', async () => {
    const open = [connect('rate=8000'), connect('rate=8000')];
    await until(() => open.every(({ messages }) => messages.length === 1));
    const third = connect('rate=8000');
    expect(await third.closed).toBe(1013);
    expect(third.messages).toMatchObject([{ type: 'refused', problem: { status: 503, code: 'PREDICTOR_BUSY' } }]);
    hasModel = false;
    const fourth = connect('rate=8000');
    expect(await fourth.closed).toBe(1013);
    expect(fourth.messages).toMatchObject([{ problem: { code: 'MODEL_MISSING' } }]);
    const fifth = connect('rate=100');
    expect(await fifth.closed).toBe(1008);
    expect(fifth.messages).toMatchObject([{ problem: { code: 'REQUEST_INVALID' } }]);
  });

  it('is refused on a page of another site', async () => {
    const { socket } = connect('rate=8000', { origin: 'http://evil.example' });
    const status = await new Promise((resolve) => socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode)));
    expect(status).toBe(403);
  });
});
