/** `undertone put` against a real store: sent files, skipped files, kills, and uploads in parts. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { readStoreConnection } from '#service/connection-config.js';
import { packageRoot } from '#service/package-root.js';
import { ObjectStore } from '#storage/object-store.js';
import { expectedEtag, uploadFile } from '#storage/upload-file.js';
import { putFolder } from '../../apps/cli/src/put-folder.js';
import { randomName } from '../chaos/stream-under-test.js';

let folder: string;
let store: ObjectStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-put-'));
  store = new ObjectStore({ ...readStoreConnection(), bucket: randomName() });
  await store.ensureBucket();
});

afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

const cli = [join(packageRoot, 'dist/apps/cli/src/main.js'), 'put'];
const environment = () => ({ ...process.env, S3_BUCKET: store.bucket });
function put(...words: string[]): { code: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...cli, folder, '--corpus', 'calls', ...words], {
    env: environment(),
    encoding: 'utf8',
  });
  return { code: status, text: stdout + stderr };
}
function file(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}
async function keys(): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(corpusKey('calls', ''))) found.push(key.slice(corpusKey('calls', '').length));
  return found.sort();
}

it('sends files that ingest takes, reports the others, and sends only changes the next time', async () => {
  file('manifest.csv', 'path\na.wav\n');
  file('a.wav', 'one');
  file('ü/b c.flac', 'two');
  file('notes.txt', 'not taken');
  file('.hidden/c.wav', 'not taken');
  symlinkSync(join(folder, 'a.wav'), join(folder, 'link.wav'));

  const dry = put('--dry-run');
  expect(dry).toMatchObject({ code: 0, text: expect.stringContaining('4 files would be put') });
  expect(await keys()).toEqual([]);

  const first = put();
  expect(first.text).toContain('3 recordings, 1 annotation file\n');
  expect(first.text).toContain('! 1 file is left out (neither recording nor annotation): 1 × .txt');
  expect(first.text).toContain('4 files put, 0 were there already');
  expect(await keys()).toEqual(['a.wav', 'link.wav', 'manifest.csv', 'ü/b c.flac']);
  expect(new TextDecoder().decode((await store.get(corpusKey('calls', 'ü/b c.flac'))).bytes)).toBe('two');

  file('a.wav', 'ONE'); // of the same size
  expect(put('--dry-run').text).toContain('2 files would be put (6 B), 2 were there already');
  expect(put().text).toContain('2 files put, 2 were there already');
  expect(put().text).toContain('0 files put, 4 were there already');
});

it('reports an unreadable file, and sends the others', async () => {
  for (let i = 10; i < 30; i++) file(`${i}.wav`, `file ${i}`);
  // The file is deleted after the first upload. Eight uploads run in parallel, so the last file is not open yet.
  const { failed, done } = await putFolder(store, folder, {
    corpus: 'calls',
    onProgress: () => rmSync(join(folder, '29.wav'), { force: true }),
  });
  expect(failed).toEqual([{ path: '29.wav', why: expect.stringContaining('ENOENT') }]);
  expect(done).toBe(20);
  expect(await keys()).toEqual(Array.from({ length: 19 }, (_, i) => `${i + 10}.wav`));
});

it('reports files whose paths cannot be keys, and sends the others', async () => {
  const latin1 = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from('Z\u00fcrich.wav', 'latin1')]);
  writeFileSync(latin1, 'x');
  const long = `${Array.from({ length: 6 }, () => 'd'.repeat(200)).join('/')}/x.wav`;
  file(long, 'x');
  file('new\nline.wav', 'x');
  file('new\nline.txt', 'ingest takes no such file, so nobody misses it');
  symlinkSync('circle.wav', join(folder, 'circle.wav'));
  file('ok 1.wav', 'x');
  file('a+b%20ü.wav', 'y');
  const { failed, done, files } = await putFolder(store, folder, { corpus: 'calls' });
  expect(Object.fromEntries(failed.map(({ path, why }) => [path, why]))).toEqual({
    'Z\\xfcrich.wav': expect.stringContaining('not UTF-8'),
    [long]: expect.stringContaining('1024'),
    'new\nline.wav': expect.stringContaining('control character'),
    'circle.wav': expect.stringContaining('ELOOP'),
  });
  expect({ done, files }).toEqual({ done: 6, files: 6 });
  expect(await keys()).toEqual(['a+b%20ü.wav', 'ok 1.wav']);
});

it('reports a file that changes during the upload', async () => {
  file('a.wav', 'before');
  file('b.wav', 'steady');
  const { failed } = await putFolder(store, folder, {
    corpus: 'calls',
    onProgress: ({ bytesSent, done }) => {
      if (bytesSent > 0 && done === 0) file('a.wav', 'longer than before');
    },
  });
  expect(failed).toEqual([{ path: 'a.wav', why: expect.stringContaining('changed while it was sent') }]);
});

it('adds the reader to the corpus options, and keeps the other options', async () => {
  file('a.wav', 'x');
  await putFolder(store, folder, { corpus: 'calls', reader: 'ravdess' });
  expect(await store.findJson(corpusKey('calls', 'corpus.json'))).toEqual({ reader: 'ravdess' });
  await store.put(corpusKey('calls', 'corpus.json'), '{"labels": {"furious": "angry"}, "note": 1}');
  await putFolder(store, folder, { corpus: 'calls', reader: 'crema-d' });
  expect(await store.findJson(corpusKey('calls', 'corpus.json'))).toEqual({ labels: { furious: 'angry' }, note: 1, reader: 'crema-d' });
});

it('sends nothing from a folder without files for ingest', () => {
  file('notes.txt', 'x');
  expect(put()).toMatchObject({ code: 2, text: expect.stringContaining('has nothing that ingest takes') });
});

it('resumes after a kill', async () => {
  for (let i = 0; i < 300; i++) file(`${i}.wav`, randomBytes(100_000));
  const running = spawn(process.execPath, [...cli, folder, '--corpus', 'calls'], { env: environment(), stdio: 'ignore' });
  await expect.poll(async () => (await keys()).length, { timeout: 30_000, interval: 20 }).toBeGreaterThan(20);
  running.kill('SIGKILL');
  await once(running, 'exit');
  const there = (await keys()).length;
  expect(there).toBeLessThan(300);
  const { text } = put();
  const [, sent = '', skipped = ''] = /(\d+) files put, (\d+) were there already/.exec(text) ?? [];
  expect(Number(sent) + Number(skipped)).toBe(300);
  expect(Number(skipped)).toBeGreaterThanOrEqual(there);
  expect(await keys()).toHaveLength(300);
}, 120_000);

it('reports a stop by Ctrl-C, and that it can resume', async () => {
  for (let i = 0; i < 300; i++) file(`${i}.wav`, randomBytes(100_000));
  const running = spawn(process.execPath, [...cli, folder, '--corpus', 'calls'], { env: environment() });
  let text = '';
  running.stdout.on('data', (piece: Buffer) => (text += piece.toString()));
  await expect.poll(async () => (await keys()).length, { timeout: 30_000, interval: 20 }).toBeGreaterThan(20);
  running.kill('SIGINT');
  const [code] = (await once(running, 'exit')) as [number];
  expect(code).toBe(1);
  expect(text).toContain('Stopped. Run the same command again to continue.');
}, 120_000);

it('sends a large file in parts, and does not repeat finished parts', async () => {
  const content = randomBytes(70 * 1024 * 1024);
  file('all.tar', content);
  const path = join(folder, 'all.tar');
  const key = corpusKey('calls', 'all.tar');
  // The first attempt ends after some parts.
  const stopping = new AbortController();
  await expect(uploadFile(store, key, path, { signal: stopping.signal, onBytes: () => stopping.abort() })).rejects.toThrow();
  expect(await store.head(key)).toBeNull();
  const { parts } = await store.resumeUpload(key);
  expect(parts.size).toBeGreaterThan(0);
  expect(parts.size).toBeLessThan(5);

  expect(put().text).toContain('1 file put');
  const { bytes, etag } = await store.get(key);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(createHash('sha256').update(content).digest('hex'));
  expect(etag).toBe(await expectedEtag(path));
  expect((await store.resumeUpload(key)).parts.size).toBe(0); // nothing is left behind
  expect(put().text).toContain('0 files put, 1 was there already');
});

/** A proxy of the real store whose ETags are not MD5 digests, and that may corrupt answers. */
async function behindProxy(spoils: boolean): Promise<{ other: ObjectStore; close: () => void }> {
  const target = new URL(readStoreConnection().endpoint ?? '');
  const server = createServer((incoming, answer) => {
    const { method, url, headers } = incoming;
    const outgoing = request({ host: target.hostname, port: target.port, method, path: url, headers }, (reply) => {
      const changed = { ...reply.headers, ...(reply.headers.etag ? { etag: '"0123456789abcdef0123456789abcdef"' } : {}) };
      answer.writeHead(reply.statusCode ?? 500, changed);
      reply.on('data', (piece: Buffer) => answer.write(spoils && method === 'GET' ? piece.map((byte) => byte ^ 1) : piece));
      reply.on('end', () => answer.end());
    });
    incoming.pipe(outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const other = new ObjectStore({ ...readStoreConnection(), endpoint, bucket: store.bucket });
  const close = () => {
    other.close();
    server.closeAllConnections();
    server.close();
  };
  return { other, close };
}

it.each([
  [false, 'an encrypted object, whose ETag is no checksum, is read back and found good'],
  [true, 'an object that comes back with other bytes is OBJECT_CHECKSUM_MISMATCH'],
])('spoiling %s: %s', async (spoils) => {
  file('a.wav', randomBytes(1000));
  const { other, close } = await behindProxy(spoils);
  const sending = uploadFile(other, corpusKey('calls', 'a.wav'), join(folder, 'a.wav'));
  if (spoils) await expect(sending).rejects.toMatchObject({ code: 'OBJECT_CHECKSUM_MISMATCH' });
  else await sending;
  close();
});
