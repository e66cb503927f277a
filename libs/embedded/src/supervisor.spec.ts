import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { isAlive } from './cache-directory.js';
import { freePorts } from './free-ports.js';
import { ProcessRecord } from './process-record.js';
import { backoffMs, Supervisor } from './supervisor.js';

let logsDir: string;
let supervisor: Supervisor;

beforeEach(async () => {
  logsDir = await mkdtemp(join(tmpdir(), 'undertone-supervisor-'));
});

afterEach(async () => {
  await supervisor?.stop({ graceMs: 1_000 });
  await rm(logsDir, { recursive: true, force: true });
});

function node(script: string): { command: string; args: string[] } {
  return { command: process.execPath, args: ['-e', script] };
}

const forever = 'setInterval(() => {}, 1000);';

test('the pause before a restart doubles up to its longest', () => {
  expect([0, 1, 2, 3, 6, 7, 1000].map((crashes) => backoffMs(crashes, 500, 30_000))).toEqual([
    500, 1000, 2000, 4000, 30_000, 30_000, 30_000,
  ]);
});

test('a child that crashes is started again, with a pause, and counted', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20, maxMs: 80 } });
  const states: string[] = [];
  supervisor.on('state', ({ state }) => states.push(state));
  supervisor.start({ name: 'crasher', ...node('console.log("here"); process.exit(3)') });
  await vi.waitFor(() => expect(supervisor.stateOf('crasher')?.restarts).toBeGreaterThanOrEqual(2), 15_000);
  expect(supervisor.stateOf('crasher')).toMatchObject({ lastExit: 'code 3', restartedAt: expect.stringMatching(/^\d{4}-/) as string });
  expect(states.slice(0, 4)).toEqual(['starting', 'running', 'backoff', 'starting']);
  await supervisor.stop();
  expect(await readFile(join(logsDir, 'crasher.log'), 'utf8')).toMatch(/here\n\[supervisor\] crasher ended: code 3\nhere/);
});

test('a child killed by kill -9 comes back under another id', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20 } });
  supervisor.start({ name: 'victim', ...node(forever) });
  await vi.waitFor(() => expect(supervisor.stateOf('victim')?.pid).toBeDefined(), 5_000);
  const first = supervisor.stateOf('victim')?.pid ?? 0;
  process.kill(first, 'SIGKILL');
  await vi.waitFor(
    () => expect(supervisor.stateOf('victim')).toMatchObject({ state: 'running', restarts: 1, lastExit: 'SIGKILL' }),
    10_000,
  );
  expect(supervisor.stateOf('victim')?.pid).not.toBe(first);
});

/** Says that it is alive for so many answers, then that it is not. @returns its command */
const answering = (port: number, goodAnswers: number) =>
  node(`let n = 0;
    require('http').createServer((_, answer) => {
      answer.statusCode = n++ < ${goodAnswers} ? 200 : 503;
      answer.end('stuck');
    }).listen(${port}, '127.0.0.1');`);

test('a child that lives but says three times in a row that it is stuck is replaced, and its log says why', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20 }, health: { everyMs: 50 } });
  const [port = 0] = await freePorts(1);
  supervisor.start({ name: 'stuck', ...answering(port, 4), healthUrl: `http://127.0.0.1:${port}/` });
  await vi.waitFor(() => expect(supervisor.stateOf('stuck')).toMatchObject({ restarts: 1, lastExit: 'SIGKILL' }), 20_000);
  await supervisor.stop();
  expect(await readFile(join(logsDir, 'stuck.log'), 'utf8')).toContain('stuck is not alive, and is replaced: 503 stuck');
});

test('a child that has not answered yet is starting, and one that is well is left alone', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20 }, health: { everyMs: 20 } });
  const [port = 0, deafPort = 0] = await freePorts(2);
  supervisor.start({ name: 'well', ...answering(port, 1e9), healthUrl: `http://127.0.0.1:${port}/` });
  supervisor.start({ name: 'starting', ...node(forever), healthUrl: `http://127.0.0.1:${deafPort}/` });
  await sleep(1_500);
  expect(supervisor.states.map(({ name, restarts }) => [name, restarts])).toEqual([
    ['well', 0],
    ['starting', 0],
  ]);
});

test('a child that was healthy long enough crashes for the first time again', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20, maxMs: 60_000, healthyAfterMs: 1 } });
  supervisor.start({ name: 'flaky', ...node('setTimeout(() => process.exit(1), 20)') });
  // Without the reset the fifth pause alone would be 320 ms, the tenth 10 s.
  await vi.waitFor(() => expect(supervisor.stateOf('flaky')?.restarts).toBeGreaterThanOrEqual(5), 20_000);
});

test('on-failure lets a child that finished rest', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 10 } });
  supervisor.start({ name: 'once', ...node(''), restart: 'on-failure' });
  await vi.waitFor(() => expect(supervisor.stateOf('once')?.state).toBe('stopped'), 10_000);
  expect(supervisor.stateOf('once')?.restarts).toBe(0);
});

test('stop asks gently and is not fooled by a child that will not go', async () => {
  supervisor = new Supervisor({ logsDir });
  const lines: string[] = [];
  supervisor.on('state', () => undefined);
  const listening = new Supervisor({ logsDir: join(logsDir, 'more'), onLine: (name, line) => lines.push(`${name}: ${line}`) });
  listening.start({
    name: 'polite',
    ...node(`process.on('SIGTERM', () => { console.log('bye'); process.exit(0); }); console.log('up'); ${forever}`),
  });
  listening.start({ name: 'stubborn', ...node(`process.on('SIGTERM', () => {}); console.log('up'); ${forever}`) });
  await vi.waitFor(() => expect(lines.toSorted()).toEqual(['polite: up', 'stubborn: up']), 10_000);
  const pids = listening.states.map(({ pid }) => pid ?? 0);
  await listening.stop({ graceMs: 500 });
  expect(lines).toContain('polite: bye');
  expect(pids.map(isAlive)).toEqual([false, false]);
});

test('a command that does not exist is retried, not thrown', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 60_000 } });
  supervisor.start({ name: 'missing', command: join(logsDir, 'no-such-command') });
  await vi.waitFor(() => expect(supervisor.stateOf('missing')?.state).toBe('backoff'), 10_000);
});

test('what a killed owner left running is ended by the next start', async () => {
  supervisor = new Supervisor({ logsDir });
  const file = join(logsDir, 'processes.json');
  const leftover = spawn(process.execPath, ['-e', forever], { detached: true, stdio: 'ignore' });
  await sleep(100);
  new ProcessRecord(file).add('leftover', leftover.pid);
  const ended = once(leftover, 'exit');
  expect(await new ProcessRecord(file).endLeftovers()).toEqual(['leftover']);
  expect((await ended)[1]).toBe('SIGTERM');
});

test('a process that only has the id of a leftover is left alone', async () => {
  supervisor = new Supervisor({ logsDir });
  const { writeFile } = await import('node:fs/promises');
  const file = join(logsDir, 'processes.json');
  const stranger = spawn(process.execPath, ['-e', forever], { detached: true, stdio: 'ignore' });
  const record = {
    owner: { name: 'owner', pid: 1, startedAt: 'x' },
    children: [{ name: 'old', pid: stranger.pid, startedAt: 'another time' }],
  };
  await writeFile(file, JSON.stringify(record));
  expect(await new ProcessRecord(file).endLeftovers()).toEqual([]);
  expect(isAlive(stranger.pid ?? 0)).toBe(true);
  stranger.kill('SIGKILL');
});

/** Each write to it finds the disk full. */
const fullDisk = '/dev/full';

test.skipIf(!existsSync(fullDisk))(
  'a full disk costs log lines, said once; children go on, and the log too once there is room',
  async () => {
    const warnings: string[] = [];
    const log = join(logsDir, 'talker.log');
    await symlink(fullDisk, log);
    await symlink(fullDisk, join(logsDir, 'processes.json.part'));
    supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20 }, onWarning: (warning) => warnings.push(warning) });
    supervisor.start({ name: 'talker', ...node('setInterval(() => console.log("talks"), 20)') });
    supervisor.start({ name: 'crasher', ...node('process.exit(3)') });
    await vi.waitFor(() => expect(supervisor.stateOf('crasher')?.restarts).toBeGreaterThanOrEqual(2), 15_000);
    expect(supervisor.stateOf('talker')).toMatchObject({ state: 'running', restarts: 0 });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/cannot be written \(ENOSPC: no space left on device/);

    await rm(log);
    await vi.waitFor(async () => expect(await readFile(log, 'utf8')).toMatch(/\[supervisor\] \d+ lines are missing here.*\ntalks\n/), {
      timeout: 15_000,
      interval: 100,
    });
    expect(supervisor.stateOf('talker')?.restarts).toBe(0);
  },
);
