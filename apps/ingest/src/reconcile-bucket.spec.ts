/** A listing hints once at each state, also across restarts, and a bad object or corpus hides no other. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { DeadLetter } from '#contracts/dead-letters.js';
import type { ObjectHint } from '#contracts/object-hints.js';
import { corpusKey } from '#contracts/object-keys.js';
import type { ErrorCode } from '#contracts/pipeline-error.js';
import { createLogger } from '#service/logger.js';
import { CorpusCatalogue } from './corpus-catalogue.js';
import { describeObject } from './describe-object.js';
import { MemoryStore } from './memory-store.fixture.js';
import { BucketReconciler } from './reconcile-bucket.js';
import { RefusedObjects } from './refused-objects.js';
import { UtteranceLedger } from './utterance-ledger.js';

let store: MemoryStore;
let ledger: UtteranceLedger;
let refused: RefusedObjects;
let catalogue: CorpusCatalogue;
let hints: ObjectHint[];

beforeEach(() => {
  store = new MemoryStore();
  ledger = new UtteranceLedger();
  refused = new RefusedObjects();
  hints = [];
});

/** As after a restart of the process: only the topics are remembered. */
function restarted(): BucketReconciler {
  catalogue = new CorpusCatalogue(store, createLogger('ingest', 'silent'));
  const publishApart = (_topic: unknown, facts: unknown[]): Promise<void> => {
    hints.push(...(facts as ObjectHint[]));
    return Promise.resolve();
  };
  const warnings = { publish: () => Promise.resolve() };
  return new BucketReconciler(store, { publishApart }, ledger, catalogue, warnings, refused);
}

async function hintsOfListing(reconciler = restarted()): Promise<string[]> {
  hints = [];
  await reconciler.reconcile();
  return hints.map(({ key }) => key.replace('corpora/', '')).sort();
}

/** The dead letter of the last hint at the key. */
function letterOf(key: string, code: ErrorCode, failedAt = new Date().toISOString()): DeadLetter {
  const hint = hints.findLast((each) => each.key === key);
  const valueBase64 = Buffer.from(JSON.stringify(hint)).toString('base64');
  const origin = { topic: 'undertone.object-hints.v1', partition: 0, offset: '0', keyBase64: null, valueBase64 };
  return { stage: 'ingest', code, message: 'x', origin, objectKey: key, failedAt };
}

const put = (path: string, content = 'sound', corpus = 'a') => store.put(corpusKey(corpus, path), content);

async function ingest(path: string, corpus = 'a', ingestedAt = new Date().toISOString()): Promise<void> {
  const head = await store.head(corpusKey(corpus, path));
  if (!head) throw new Error(`There is no ${path}`);
  const { record } = describeObject(await catalogue.corpus(corpus), head, path);
  ledger.apply(record.utteranceId, { ...record, ingestedAt });
}

describe('a listing', () => {
  it('hints at objects that the ledger does not describe, and at deleted ones', async () => {
    await put('a.wav');
    await put('b.wav');
    await put('notes.txt');
    const reconciler = restarted();
    expect(await hintsOfListing(reconciler)).toEqual(['a/a.wav', 'a/b.wav']);
    await ingest('a.wav');
    expect(await hintsOfListing(reconciler), 'the hint at b is durable').toEqual([]);
    expect(await hintsOfListing(), 'after a restart').toEqual(['a/b.wav']);
    await store.delete(corpusKey('a', 'a.wav'));
    expect(await hintsOfListing(reconciler)).toEqual(['a/a.wav']);
  });

  it('hints once more at an object that a hint did not find, though it has the same bytes again, and at most five times', async () => {
    await put('a.wav');
    const reconciler = restarted();
    expect(await hintsOfListing(reconciler)).toEqual(['a/a.wav']);
    const later: string[][] = [];
    for (let n = 0; n < 7; n++) {
      reconciler.foundAbsent(corpusKey('a', 'a.wav')); // it was deleted just then, and put again
      later.push(await hintsOfListing(reconciler));
    }
    expect(later).toEqual([...Array.from({ length: 5 }, () => ['a/a.wav']), [], []]);
  });

  it('does not hint again at an object with a dead letter for its state, also after a restart', async () => {
    await put('cold.wav');
    await put('all.zip', 'PK');
    expect(await hintsOfListing()).toEqual(['a/all.zip', 'a/cold.wav']);
    refused.apply(letterOf(corpusKey('a', 'cold.wav'), 'OBJECT_REFUSED'));
    refused.apply(letterOf(corpusKey('a', 'all.zip'), 'ARCHIVE_INVALID'));
    expect(await hintsOfListing()).toEqual([]);
    await put('cold.wav', 'another');
    expect(await hintsOfListing(), 'in another state').toEqual(['a/cold.wav']);
  });

  it('tries again after a restart if only an outage caused the dead letter', async () => {
    await put('a.wav');
    await hintsOfListing();
    refused.apply(letterOf(corpusKey('a', 'a.wav'), 'RETRIES_EXHAUSTED'));
    expect(await hintsOfListing()).toEqual(['a/a.wav']);
  });

  it('hints again at an object that was ingested after its dead letter and fails in the same way', async () => {
    await put('a.wav');
    await put('manifest.csv', 'path,split\na.wav,tset\n');
    await hintsOfListing();
    refused.apply(letterOf(corpusKey('a', 'a.wav'), 'MANIFEST_INVALID', '2026-01-01T00:00:00.000Z'));
    expect(await hintsOfListing()).toEqual(['a/manifest.csv']);
    const wrong = await store.get(corpusKey('a', 'manifest.csv'));
    await put('manifest.csv', 'path,split\na.wav,test\n');
    restarted();
    await ingest('a.wav', 'a', '2026-01-02T00:00:00.000Z');
    await store.put(corpusKey('a', 'manifest.csv'), wrong.bytes);
    expect(await hintsOfListing()).toEqual(['a/a.wav', 'a/manifest.csv']);
  });

  it('drops the dead letter of a deleted object', async () => {
    await put('a.wav');
    await hintsOfListing();
    refused.apply(letterOf(corpusKey('a', 'a.wav'), 'OBJECT_REFUSED'));
    await store.delete(corpusKey('a', 'a.wav'));
    expect(await hintsOfListing()).toEqual([]);
    await put('a.wav');
    expect(await hintsOfListing()).toEqual(['a/a.wav']);
  });

  it.each(['', 'no JSON', '{"key":7}', '['.repeat(9_000)])('ignores a dead letter about %.10j', async (value) => {
    await put('a.wav');
    await hintsOfListing();
    const letter = letterOf(corpusKey('a', 'a.wav'), 'OBJECT_REFUSED');
    refused.apply({ ...letter, origin: { ...letter.origin, valueBase64: Buffer.from(value).toString('base64') } });
    expect(await hintsOfListing()).toEqual(['a/a.wav']);
  });

  it('hints once at an impossible key, and makes no request for it', async () => {
    const path = 'x/../y.wav';
    await put(path);
    store.calls.length = 0;
    expect(await hintsOfListing()).toEqual([`a/${path}`]);
    expect(store.calls).toEqual([['list', 'corpora/']]);
    refused.apply(letterOf(corpusKey('a', path), 'OBJECT_KEY_INVALID'));
    expect(await hintsOfListing()).toEqual([]);
  });

  it('continues after an unreadable corpus', async () => {
    await put('manifest.jsonl', 'null\n');
    await put('a.wav');
    await put('b.wav', 'sound', 'b');
    const reconciler = restarted();
    expect(await hintsOfListing(reconciler)).toEqual(['a/a.wav', 'a/manifest.jsonl', 'b/b.wav']);
    hints = [];
    await reconciler.sweepCorpus('a');
    expect(hints.map(({ key, reason }) => [key, reason])).toEqual([[corpusKey('a', 'a.wav'), 'annotations']]);
  });
});
