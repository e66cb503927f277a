import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ChildStatus } from '#embedded/supervisor.js';
import { readRestarts, writeRestarts, writeStackNote } from './stack-file.js';

let home: string;
const child = (name: string, more: Partial<ChildStatus> = {}): ChildStatus => ({
  name,
  state: 'running',
  pid: 1,
  restarts: 0,
  restartedAt: undefined,
  lastExit: undefined,
  restartsInMs: undefined,
  logFile: `/logs/${name}.log`,
  ...more,
});

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'undertone-home-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

it('reads the restarts that the supervisor noted, only while its stack runs', () => {
  const environment = { UNDERTONE_HOME: home };
  const restartedAt = '2026-11-30T18:03:00.000Z';
  writeRestarts(environment, [child('ingest'), child('features', { restarts: 2, restartedAt, lastExit: 'SIGKILL' })]);
  expect(readRestarts(environment)).toBeNull();
  writeStackNote(environment, { pid: process.pid, dashboardUrl: 'http://127.0.0.1:7400', environment: {} });
  expect(readRestarts(environment)).toEqual([
    { service: 'features', restarts: 2, lastAt: restartedAt, lastExit: 'SIGKILL', logFile: '/logs/features.log' },
  ]);
});

it('goes on when the note cannot be written', () => {
  mkdirSync(join(home, 'restarts.json'));
  writeRestarts({ UNDERTONE_HOME: home }, [child('ingest')]);
  expect(readdirSync(home)).toEqual(['restarts.json']);
  writeRestarts({ UNDERTONE_HOME: join(home, 'missing') }, [child('ingest')]);
});
