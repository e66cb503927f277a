/** Counts in a folder as store, and deaths of real processes. */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CrashCounter, clearCrashCount } from './crash-counter.js';
import { FolderStore } from './folder-store.js';
import { InHandJournal } from './in-hand-journal.js';

let root: string;
const logger = pino({ level: 'silent' });
const deadPid = 2 ** 22 + 1; // above any pid of Linux

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'crash-counter-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const journals = (): string => join(root, 'in-hand', 'x.ingest');
const counter = (): CrashCounter =>
  new CrashCounter({ store: new FolderStore(join(root, 'bucket')), topicPrefix: 'x', stage: 'ingest', folder: journals(), logger });

/** Makes the journals of this process look as if it had died. */
function dieWith(...subjects: string[]): void {
  const journal = new InHandJournal(journals());
  for (const name of subjects) journal.mark({ sha256: createHash('sha256').update(name).digest('hex'), name });
  const [file = ''] = readdirSync(journals()).filter((each) => each.startsWith(`${process.pid}-`));
  const bytes = readFileSync(join(journals(), file));
  journal.close();
  writeFileSync(join(journals(), `${deadPid}-${Math.random()}.journal`), bytes);
}

describe('errors', () => {
  it('are counted by subject, across processes', async () => {
    const first = counter();
    await first.recover();
    expect(await first.count('made/1.wav|v1|', new TypeError('x'))).toBe(1);
    expect(await first.count('made/1.wav|v2|', new TypeError('x'))).toBe(1);
    const second = counter();
    await second.recover();
    expect(await second.count('made/1.wav|v1|', new TypeError('x'))).toBe(2);
    first.close();
    second.close();
  });

  it('are no longer counted once the subject was taken or has its dead letter', async () => {
    const crashes = counter();
    await crashes.recover();
    for (const count of [1, 2, 3]) expect(await crashes.count('a', new Error('x'))).toBe(count);
    await crashes.clearCount('a');
    expect(await crashes.count('a', new Error('x'))).toBe(1);
    crashes.close();
  });

  it('never refuse a subject that comes again, because its object may have changed', async () => {
    const crashes = counter();
    await crashes.recover();
    for (let time = 0; time < 5; time++) await crashes.count('a', new Error('x'));
    expect((await crashes.begin('a')).refusedAfter).toBe(0);
    crashes.close();
  });
});

describe('deaths of the process', () => {
  it('count for the subjects in hand, and refuse a subject after the third until it is replayed', async () => {
    for (const death of [1, 2, 3]) {
      dieWith('killer');
      const crashes = counter();
      await crashes.recover();
      const inHand = await crashes.begin('killer');
      expect(inHand.refusedAfter).toBe(death < 3 ? 0 : 3);
      inHand.end();
      crashes.close();
    }
    const crashes = counter();
    await crashes.recover();
    await crashes.clearCount('killer'); // its dead letter is written; a listing hints at it again
    expect((await crashes.begin('killer')).refusedAfter).toBe(3);
    await clearCrashCount(new FolderStore(join(root, 'bucket')), { topicPrefix: 'x', stage: 'ingest', subject: 'killer' });
    expect((await crashes.begin('killer')).refusedAfter).toBe(0);
    crashes.close();
  });

  it('do not count for taken subjects, nor after a graceful stop', async () => {
    const first = counter();
    await first.recover();
    (await first.begin('taken')).end();
    await first.begin('cut off by a stop');
    first.close();
    const second = counter();
    await second.recover();
    expect(await second.count('taken', new Error('x'))).toBe(1);
    expect(await second.count('cut off by a stop', new Error('x'))).toBe(1);
    second.close();
  });

  it('make all subjects in hand suspects, which are then in hand one at a time', async () => {
    dieWith('a', 'b');
    const crashes = counter();
    await crashes.recover();
    const order: string[] = [];
    const first = await crashes.begin('a');
    const second = crashes.begin('b').then((inHand) => {
      order.push('b');
      return inHand;
    });
    (await crashes.begin('c')).end();
    order.push('c');
    first.end();
    order.push('a ended');
    (await second).end();
    expect(order).toEqual(['c', 'a ended', 'b']);
    await crashes.clearCount('a');
    await crashes.clearCount('b');
    expect((await crashes.begin('a')).refusedAfter).toBe(0);
    crashes.close();
  });

  it('are counted when a real process is killed', async () => {
    mkdirSync(journals(), { recursive: true });
    const script = join(root, 'child.mjs');
    const line = JSON.stringify({ sha256: 'f'.repeat(64), name: 'x' }).padEnd(511);
    writeFileSync(
      script,
      `import { writeFileSync } from 'node:fs';
       writeFileSync(${JSON.stringify(journals())} + '/' + process.pid + '-1.journal', ${JSON.stringify(`${line}\n`)});
       process.send('in hand');
       setInterval(() => {}, 1000);`,
    );
    const child = fork(script);
    await once(child, 'message');
    const whileAlive = counter();
    await whileAlive.recover();
    expect(readdirSync(journals())).toContain(`${child.pid}-1.journal`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const later = counter();
    await later.recover();
    expect(readdirSync(journals())).not.toContain(`${child.pid}-1.journal`);
    whileAlive.close();
    later.close();
    expect(readdirSync(journals())).toEqual([]);
  });

  it('are not counted if no journal can be written, and errors still are', async () => {
    const file = join(root, 'a file');
    writeFileSync(file, '');
    const crashes = new CrashCounter({
      store: new FolderStore(join(root, 'bucket')),
      topicPrefix: 'x',
      stage: 'ingest',
      folder: join(file, 'below'),
      logger,
    });
    await crashes.recover();
    (await crashes.begin('a')).end();
    expect(await crashes.count('a', new Error('x'))).toBe(1);
    crashes.close();
  });
});
