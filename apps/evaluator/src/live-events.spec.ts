import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { Subject } from 'rxjs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LiveEvents, type LiveEventsOptions } from './live-events.js';

interface State {
  number: number;
  padding: string;
}

let server: Server;
let events: LiveEvents;
let changes: Subject<State>;
let serialised: number;
const sockets: Socket[] = [];
const padding = 'x'.repeat(200_000);

/** Counts how often it is serialised. */
const stateOf = (number: number): State =>
  Object.assign(Object.create({ toJSON: () => (serialised++, { number, padding }) }) as object, { number, padding });

async function serve(options: Partial<LiveEventsOptions> = {}): Promise<void> {
  events = new LiveEvents({ state: () => stateOf(0), changes, ...options });
  server.on('request', (_request, response) => events.open(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

const portOf = (): number => (server.address() as AddressInfo).port;

/** A client that sends a request and then never reads. */
async function deafClient(): Promise<void> {
  const socket = connect(portOf(), '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'connect');
  socket.pause();
  socket.on('error', () => undefined);
  socket.write('GET /api/events HTTP/1.1\r\nhost: x\r\n\r\n');
}

async function client(): Promise<{ answer: IncomingMessage; numbers: number[]; text: () => string }> {
  const answer = await new Promise<IncomingMessage>((resolve) => get({ port: portOf(), host: '127.0.0.1' }, resolve));
  answer.on('error', () => undefined);
  sockets.push(answer.socket);
  const numbers: number[] = [];
  let text = '';
  answer.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      numbers.push((JSON.parse(text.slice('data: '.length, end)) as State).number);
      text = text.slice(end + 2);
    }
  });
  return { answer, numbers, text: () => text };
}

beforeEach(() => {
  server = createServer();
  changes = new Subject();
  serialised = 0;
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

it('serialises each state once, and sends it to every client', async () => {
  await serve();
  const clients = await Promise.all([client(), client(), client()]);
  await vi.waitFor(() => expect(clients.map(({ numbers }) => numbers)).toEqual([[0], [0], [0]]), { timeout: 20_000 });
  const before = serialised;
  changes.next(stateOf(1));
  await vi.waitFor(() =>
    expect(clients.map(({ numbers }) => numbers)).toEqual([
      [0, 1],
      [0, 1],
      [0, 1],
    ]),
  );
  expect([before, serialised]).toEqual([1, 2]);
});

it('bounds the memory of clients that never read, still sends a good client every state, and answers 503 to one too many', async () => {
  await serve();
  const good = await client();
  for (let at = 0; at < 100; at++) await deafClient();
  await vi.waitFor(() => expect(events.count).toBe(64), { timeout: 20_000 });
  const held = (): number => process.memoryUsage().heapUsed + process.memoryUsage().external;
  const before = held();
  for (let number = 1; number <= 150; number++) {
    changes.next(stateOf(number));
    await vi.waitFor(() => expect(good.numbers.at(-1)).toBe(number), { interval: 2, timeout: 20_000 });
  }
  // If each client kept its own copy, these states would take two gigabytes.
  expect(held() - before).toBeLessThan(100e6);
  expect(good.numbers).toEqual(Array.from({ length: 151 }, (_, number) => number));

  const late = await client();
  await once(late.answer, 'end');
  expect(late.answer.statusCode).toBe(503);
  expect(Number(late.answer.headers['retry-after'])).toBeGreaterThan(0);
  expect(JSON.parse(late.text())).toMatchObject({ message: expect.stringMatching(/^64 clients follow the events already/) as string });

  // When some clients have left, the next client is served.
  for (const socket of sockets) if (socket !== good.answer.socket) socket.destroy();
  await vi.waitFor(() => expect(events.count).toBe(1), { timeout: 20_000 });
  const next = await client();
  await vi.waitFor(() => expect(next.numbers).toHaveLength(1), { timeout: 20_000 });
});

it('sends a slow client the newest state, not every missed one', async () => {
  await serve();
  const slow = await client();
  await vi.waitFor(() => expect(slow.numbers).toEqual([0]), { timeout: 20_000 });
  slow.answer.pause();
  for (let number = 1; number <= 100; number++) {
    changes.next(stateOf(number));
    await new Promise((resolve) => setImmediate(resolve));
  }
  slow.answer.resume();
  await vi.waitFor(() => expect(slow.numbers.at(-1)).toBe(100), { timeout: 20_000 });
  expect(slow.numbers.length).toBeLessThan(101);
});

it('disconnects a client that takes nothing for too long, and serves another in its place', async () => {
  await serve({ mostClients: 1, patienceMs: 50 });
  await deafClient();
  await vi.waitFor(() => expect(events.count).toBe(1), { timeout: 20_000 });
  await vi.waitFor(
    () => {
      changes.next(stateOf(1));
      expect(events.count).toBe(0);
    },
    { timeout: 10_000, interval: 10 },
  );
});

it('does not ask for the state while no client follows', async () => {
  await serve();
  const { answer } = await client();
  expect(changes.observed).toBe(true);
  answer.destroy();
  await vi.waitFor(() => expect(changes.observed).toBe(false), { timeout: 20_000 });
});
