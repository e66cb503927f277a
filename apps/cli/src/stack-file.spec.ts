import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ChildStatus } from '#embedded/supervisor.js';
import { makeUndertoneHome, readRestarts, readStackNote, writeRestarts, writeStackNote } from './stack-file.js';

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

const note = { pid: process.pid, dashboardUrl: 'http://127.0.0.1:1', environment: { KAFKA_BROKERS: '127.0.0.1:1' } };

it.each(['', '{', 'null', '[]', '{"pid":"1"}', '{"pid":1,"dashboardUrl":"","environment":{"KAFKA_BROKERS":7}}'])(
  'takes a damaged note for none: %s',
  (text) => {
    writeFileSync(join(home, 'stack.json'), text);
    expect(readStackNote({ UNDERTONE_HOME: home })).toBeNull();
  },
);

it('replaces a planted link, and leaves the file that it points to', () => {
  const victim = join(home, 'authorized_keys');
  writeFileSync(victim, 'precious');
  for (const name of ['stack.json', 'stack.json.part']) symlinkSync(victim, join(home, name));
  writeStackNote({ UNDERTONE_HOME: home }, note);
  expect(readFileSync(victim, 'utf8')).toBe('precious');
  expect(lstatSync(join(home, 'stack.json')).isSymbolicLink()).toBe(false);
  expect(readStackNote({ UNDERTONE_HOME: home })).toEqual(note);
});

it('refuses a home that other users may write to', () => {
  writeStackNote({ UNDERTONE_HOME: home }, note);
  chmodSync(home, 0o777);
  const refused = expect.objectContaining({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(`chmod go-w ${home}`) as string,
  }) as Error;
  expect(() => readStackNote({ UNDERTONE_HOME: home })).toThrow(refused);
  expect(() => makeUndertoneHome({ UNDERTONE_HOME: home })).toThrow(refused);
});
