/** A listing finds labels that would be lost, and puts a warning into the bucket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { corpusWarningsKey } from '#contracts/corpus-warnings.js';
import type { ObjectHint } from '#contracts/object-hints.js';
import { corpusKey } from '#contracts/object-keys.js';
import { pino } from 'pino';
import type { ObjectHead } from '#storage/object-store.js';
import { FolderStore } from '#storage/folder-store.js';
import { CorpusCatalogue } from './corpus-catalogue.js';
import { describeObject } from './describe-object.js';
import { WarningPublisher } from './publish-warnings.js';
import { BucketReconciler } from './reconcile-bucket.js';
import { UtteranceLedger } from './utterance-ledger.js';

let folder: string;
let store: FolderStore;
let logged: { warnings: string[] }[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-warnings-'));
  store = new FolderStore(folder);
  logged = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (path: string, text: string | Uint8Array) => store.put(corpusKey('calls', path), text);
const warned = async () => ((await store.findJson(corpusWarningsKey('calls'))) as { warnings: string[] } | null)?.warnings ?? [];

/** An object as a listing returns it. */
async function headOf(key: string): Promise<ObjectHead | undefined> {
  for await (const head of store.list(key)) if (head.key === key) return head;
  return undefined;
}

/** One ingest process. It publishes at once each recording that a listing hints at. */
function ingest() {
  const logger = pino({ level: 'warn' }, { write: (line) => void logged.push(JSON.parse(line) as { warnings: string[] }) });
  const ledger = new UtteranceLedger();
  const catalogue = new CorpusCatalogue(store, logger, (corpus) => ledger.pathsOf(corpus));
  const warnings = new WarningPublisher(store, logger);
  const hinted: string[] = [];
  const publisher = {
    publishApart: async (_topic: unknown, hints: readonly unknown[]) => void hinted.push(...hints.map((hint) => (hint as ObjectHint).key)),
  };
  const reconciler = new BucketReconciler(store, publisher, ledger, catalogue, warnings);
  const list = async (): Promise<Record<string, string | undefined>> => {
    await reconciler.reconcile();
    const categories: Record<string, string | undefined> = {};
    for (const key of hinted.splice(0)) {
      const path = key.slice(corpusKey('calls', '').length);
      const head = await headOf(key);
      if (!path.endsWith('.wav') || !head) continue;
      const { record } = describeObject(await catalogue.corpus('calls'), head, path);
      ledger.apply(record.utteranceId, record);
      categories[path] = record.labels.category;
    }
    return categories;
  };
  return { list, warnings };
}

it('warns of rows that match no recording, until they match', async () => {
  await put('manifest.csv', 'path,emotion\naudio\\a.wav,sad\nb.wav,angry\nc.wav,happy\n');
  await put('audio/a.wav', 'one');
  await put('other.wav', 'two');
  const { list, warnings } = ingest();
  expect(await list()).toEqual({ 'audio/a.wav': 'sad', 'other.wav': undefined });
  expect(await warned()).toEqual([
    expect.stringMatching(/^2 of 3 rows match no recording.*manifest\.csv, row 2: "b\.wav", manifest\.csv, row 3: "c\.wav"$/),
    expect.stringMatching(/^1 of 3 rows spell the path of a recording in another way/),
  ]);
  expect(warnings.unmatchedRows).toBe(2);
  await list();
  expect(logged).toHaveLength(1);

  await put('b.wav', 'three');
  await put('c.wav', 'four');
  expect(await list()).toEqual({ 'b.wav': 'angry', 'c.wav': 'happy' });
  expect(warnings.unmatchedRows).toBe(0);
  expect(await warned()).toEqual([expect.stringMatching(/another way/)]);
});

it('deletes the warning of an earlier process when its reason is gone', async () => {
  await put('manifest.csv', 'path,emotion\nb.wav,angry\n');
  await put('a.wav', 'one');
  await ingest().list();
  expect(await warned()).toHaveLength(1);
  await put('b.wav', 'two');
  await ingest().list();
  expect(await warned()).toEqual([]);
  expect(await store.head(corpusWarningsKey('calls'))).toBeNull();
});

it('gives a row to the recording that it names, and to a similar one only while that is missing', async () => {
  await put('manifest.csv', 'path,emotion\nx/A.wav,sad\n');
  await put('x/a.wav', 'one');
  const { list } = ingest();
  expect(await list()).toEqual({ 'x/a.wav': 'sad' });
  await put('x/A.wav', 'two');
  expect(await list()).toEqual({ 'x/A.wav': 'sad' });
  expect(await list()).toEqual({ 'x/a.wav': undefined });
});

it("maps a corpus's own words to labels", async () => {
  await put('manifest.csv', 'path,emotion\na.wav,furious\n');
  await put('a.wav', 'one');
  await put('corpus.json', '{"labels": {"furious": "angry"}}');
  expect(await ingest().list()).toEqual({ 'a.wav': 'angry' });
});

it('names the guessed encoding', async () => {
  await put('manifest.csv', Buffer.from('path,emotion\nZ\u00fcrich.wav,sad\n', 'latin1'));
  await put('Zürich.wav', 'one');
  expect(await ingest().list()).toEqual({ 'Zürich.wav': 'sad' });
  expect(await warned()).toEqual([expect.stringContaining('Windows-1252')]);
});
