import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
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

test('doubles the pause before a restart up to the maximum', () => {
  expect([0, 1, 2, 3, 6, 7, 1000].map((crashes) => backoffMs(crashes, 500, 30_000))).toEqual([
    500, 1000, 2000, 4000, 30_000, 30_000, 30_000,
  ]);
});

test('restarts a crashed child after a pause and counts the restart', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20, maxMs: 80 } });
  const states: string[] = [];
  supervisor.on('state', ({ state }) => states.push(state));
  supervisor.start({ name: 'crasher', ...node('console.log("here"); process.exit(3)') });
  await vi.waitFor(() => expect(supervisor.stateOf('crasher')?.restarts).toBeGreaterThanOrEqual(2), 30_000);
  expect(supervisor.stateOf('crasher')).toMatchObject({ lastExit: 'code 3', restartedAt: expect.stringMatching(/^\d{4}-/) as string });
  expect(states.slice(0, 4)).toEqual(['starting', 'running', 'backoff', 'starting']);
  await supervisor.stop();
  expect(await readFile(join(logsDir, 'crasher.log'), 'utf8')).toMatch(/here\n\[supervisor\] crasher ended: code 3\nhere/);
});

test('restarts a child that was killed by kill -9', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20 } });
  supervisor.start({ name: 'victim', ...node(forever) });
  await vi.waitFor(() => expect(supervisor.stateOf('victim')?.pid).toBeGreaterThan(0), 30_000);
  const first = supervisor.stateOf('victim')?.pid ?? 0;
  process.kill(first, 'SIGKILL');
  await vi.waitFor(
    () => expect(supervisor.stateOf('victim')).toMatchObject({ state: 'running', restarts: 1, lastExit: 'SIGKILL' }),
    30_000,
  );
  expect(supervisor.stateOf('victim')?.pid).not.toBe(first);
});

/** A child that answers healthy for a number of requests, then unhealthy. @returns its command */
const answering = (port: number, goodAnswers: number) =>
  node(`let n = 0;
    require('http').createServer((_, answer) => {
      answer.statusCode = n++ < ${goodAnswers} ? 200 : 503;
      answer.end('stuck');
      console.log('answered');
    }).listen(${port}, '127.0.0.1');`);

test('replaces a child that answers unhealthy three times in a row, and logs the reason', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20 }, health: { everyMs: 50, timeoutMs: 10_000 } });
  const [port = 0] = await freePorts(1);
  supervisor.start({ name: 'stuck', ...answering(port, 4), healthUrl: `http://127.0.0.1:${port}/` });
  await vi.waitFor(() => expect(supervisor.stateOf('stuck')).toMatchObject({ restarts: 1, lastExit: 'SIGKILL' }), 30_000);
  await supervisor.stop();
  expect(await readFile(join(logsDir, 'stuck.log'), 'utf8')).toContain('stuck is not healthy and is replaced: 503 stuck');
});

test('leaves a child alone that has not answered yet or is healthy', async () => {
  let answers = 0;
  // The time limit is long: a busy machine must not make a healthy child look dead.
  const health = { everyMs: 20, timeoutMs: 10_000 };
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20 }, health, onLine: () => answers++ });
  const [port = 0, deafPort = 0] = await freePorts(2);
  supervisor.start({ name: 'starting', ...node(forever), healthUrl: `http://127.0.0.1:${deafPort}/` });
  supervisor.start({ name: 'well', ...answering(port, 1e9), healthUrl: `http://127.0.0.1:${port}/` });
  await vi.waitFor(() => expect(answers).toBeGreaterThan(10), 30_000);
  expect(supervisor.states.map(({ name, restarts }) => [name, restarts])).toEqual([
    ['starting', 0],
    ['well', 0],
  ]);
});

test('resets the pause after a child was healthy long enough', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20, maxMs: 60_000, healthyAfterMs: 1 } });
  supervisor.start({ name: 'flaky', ...node('setTimeout(() => process.exit(1), 20)') });
  // Without the reset the fifth pause alone would be 320 ms, the tenth 10 s.
  await vi.waitFor(() => expect(supervisor.stateOf('flaky')?.restarts).toBeGreaterThanOrEqual(5), 30_000);
});

test('does not restart a child that exits with 0 under on-failure', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 10 } });
  supervisor.start({ name: 'once', ...node(''), restart: 'on-failure' });
  await vi.waitFor(() => expect(supervisor.stateOf('once')?.state).toBe('stopped'), 30_000);
  expect(supervisor.stateOf('once')?.restarts).toBe(0);
});

test('stops a child by SIGTERM, and by SIGKILL if it does not end', async () => {
  supervisor = new Supervisor({ logsDir });
  const lines: string[] = [];
  supervisor.on('state', () => undefined);
  const listening = new Supervisor({ logsDir: join(logsDir, 'more'), onLine: (name, line) => lines.push(`${name}: ${line}`) });
  listening.start({
    name: 'polite',
    ...node(`process.on('SIGTERM', () => { console.log('bye'); process.exit(0); }); console.log('up'); ${forever}`),
  });
  listening.start({ name: 'stubborn', ...node(`process.on('SIGTERM', () => {}); console.log('up'); ${forever}`) });
  await vi.waitFor(() => expect(lines.toSorted()).toEqual(['polite: up', 'stubborn: up']), 30_000);
  const pids = listening.states.map(({ pid }) => pid ?? 0);
  await listening.stop({ graceMs: 500 });
  expect(lines).toContain('polite: bye');
  expect(pids.map(isAlive)).toEqual([false, false]);
});

test('retries a command that does not exist, and does not throw', async () => {
  supervisor = new Supervisor({ logsDir, backoff: { firstMs: 60_000 } });
  supervisor.start({ name: 'missing', command: join(logsDir, 'no-such-command') });
  await vi.waitFor(() => expect(supervisor.stateOf('missing')?.state).toBe('backoff'), 30_000);
});

test('ends the processes that a killed owner left running', async () => {
  supervisor = new Supervisor({ logsDir });
  const file = join(logsDir, 'processes.json');
  const leftover = spawn(process.execPath, ['-e', forever], { detached: true, stdio: 'ignore' });
  await once(leftover, 'spawn');
  new ProcessRecord(file).add('leftover', leftover.pid);
  const ended = once(leftover, 'exit');
  expect(await new ProcessRecord(file).endLeftovers()).toEqual(['leftover']);
  expect((await ended)[1]).toBe('SIGTERM');
});

test('leaves a process alone that only reuses a recorded id', async () => {
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

/** Each write to this device fails with a full disk. */
const fullDisk = '/dev/full';

test.skipIf(!existsSync(fullDisk))(
  'drops log lines on a full disk, warns once, keeps children running, and logs again once there is room',
  async () => {
    const warnings: string[] = [];
    const log = join(logsDir, 'talker.log');
    await symlink(fullDisk, log);
    await symlink(fullDisk, join(logsDir, 'processes.json.part'));
    supervisor = new Supervisor({ logsDir, backoff: { firstMs: 20 }, onWarning: (warning) => warnings.push(warning) });
    supervisor.start({ name: 'talker', ...node('setInterval(() => console.log("talks"), 20)') });
    supervisor.start({ name: 'crasher', ...node('process.exit(3)') });
    await vi.waitFor(() => expect(supervisor.stateOf('crasher')?.restarts).toBeGreaterThanOrEqual(2), 30_000);
    expect(supervisor.stateOf('talker')).toMatchObject({ state: 'running', restarts: 0 });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/is not writable \(ENOSPC: no space left on device/);

    await rm(log);
    await vi.waitFor(async () => expect(await readFile(log, 'utf8')).toMatch(/\[supervisor\] \d+ lines are missing here.*\ntalks\n/), {
      timeout: 15_000,
      interval: 100,
    });
    expect(supervisor.stateOf('talker')?.restarts).toBe(0);
  },
);
