import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StageWatch } from './stage-watch.js';

let server: Server;
let answer: { status: number; body: unknown };
let watch: StageWatch<'features' | 'trainer'>;
const restarted: string[] = [];

const inSec = (sec: number): string => new Date(Date.now() + sec * 1_000).toISOString();
const started = (startedAt: string, status = 200): typeof answer => ({ status, body: { details: { started: { startedAt } } } });

beforeEach(async () => {
  restarted.length = 0;
  server = createServer((_request, response) => {
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  watch = new StageWatch({ features: url, trainer: 'http://127.0.0.1:1' }, (stage) => restarted.push(stage));
});
afterEach(() => server.close());

it('gives each service a light, even if it does not answer or answers something else', async () => {
  answer = started(inSec(-60), 503);
  expect(await watch.ask()).toBe(true);
  expect([watch.lightOf('features'), watch.lightOf('trainer')]).toEqual(['starting', 'down']);
  answer = { status: 200, body: 'hello' };
  expect(await watch.ask()).toBe(true);
  expect(await watch.ask()).toBe(false);
  expect(watch.lightOf('features')).toBe('ready');
});

it('counts each later start as a restart, with its time', async () => {
  answer = started(inSec(-60));
  await watch.ask();
  await watch.ask();
  expect(watch.restarts).toEqual([]);
  const again = inSec(5);
  answer = started(again);
  expect(await watch.ask()).toBe(true);
  expect(watch.restarts).toEqual([{ service: 'features', restarts: 1, lastAt: again }]);
  const last = inSec(9);
  answer = started(last);
  await watch.ask();
  expect(watch.restarts).toEqual([{ service: 'features', restarts: 2, lastAt: last }]);
  expect(restarted).toEqual(['features', 'features']);
});

it('counts no restart when instances behind one address answer in turn, and one when a new instance starts', async () => {
  const [one, other, late] = [inSec(-60), inSec(-30), inSec(5)];
  for (const startedAt of [one, other, one, other, late, one, late]) {
    answer = started(startedAt);
    await watch.ask();
  }
  expect(watch.restarts).toEqual([{ service: 'features', restarts: 1, lastAt: late }]);
});
