/** Each hint asks the store, publishes only a changed version, and fails one object only. */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { hintAt, type ObjectHint } from '#contracts/object-hints.js';
import { bucketMarkerKey, corpusKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { createLogger } from '#service/logger.js';
import { DeadLetterOffice } from '#streaming/dead-letter-office.js';
import { CorpusCatalogue } from './corpus-catalogue.js';
import { type ArchiveToUnpack, ObjectDecider } from './decide-object.js';
import { MemoryStore } from './memory-store.fixture.js';
import { RefusedObjects } from './refused-objects.js';
import { UtteranceLedger } from './utterance-ledger.js';

const origin = { topic: 'hints', partition: 0, offset: '7', key: null, value: Buffer.from('{}') };
let store: MemoryStore;
let ledger: UtteranceLedger;
let decider: ObjectDecider;
let published: [id: string, record: UtteranceIngested | null][];
let swept: string[];
let archives: ArchiveToUnpack[];
let noCategory: string[];
let absent: string[];
let refused: RefusedObjects;
let isBrokerAway = false;

beforeEach(async () => {
  store = new MemoryStore();
  ledger = new UtteranceLedger();
  refused = new RefusedObjects();
  [published, swept, archives, noCategory, absent] = [[], [], [], [], []];
  await store.put(bucketMarkerKey('undertone'), '{}');
  decider = new ObjectDecider({
    store,
    ledger,
    topicPrefix: 'undertone',
    catalogue: new CorpusCatalogue(store, createLogger('ingest', 'silent')),
    publisher: {
      publish: (_topic, ...facts) => {
        if (isBrokerAway) return Promise.reject(new Error('no broker'));
        for (const fact of facts as unknown as UtteranceIngested[]) published.push([fact.utteranceId, fact]);
        return Promise.resolve();
      },
      publishApart: () => Promise.resolve(),
      tombstone: (_topic, id) => {
        published.push([id, null]);
        return Promise.resolve();
      },
    },
    unpack: (archive) => {
      archives.push(archive);
      return Promise.resolve(archives.length === 1);
    },
    onNoCategory: (reason) => noCategory.push(reason),
    onAbsent: (key) => absent.push(key),
    refused,
    sweepCorpus: (corpus) => {
      swept.push(corpus);
      return Promise.resolve();
    },
  });
});

const decide = (path: string, more: Partial<ObjectHint> = {}) =>
  decider.decide({ ...hintAt(corpusKey('a', path), 'event'), ...more }, origin);
/** Decides as ingest does: an error becomes a letter, which ingest remembers. @returns the code of the letter, or the decision */
async function decideWithLetter(path: string, more: Partial<ObjectHint> = {}): Promise<string> {
  const hint = { ...hintAt(corpusKey('a', path), 'event'), ...more };
  const office = new DeadLetterOffice({ publish: () => Promise.resolve() }, 'ingest', (letter) => refused.apply(letter));
  try {
    return await decider.decide(hint, origin);
  } catch (error) {
    const value = Buffer.from(JSON.stringify(hint));
    await office.writeLetter({ ...origin, value }, { objectKey: hint.key }, error as PipelineError);
    return (error as PipelineError).code;
  }
}
const put = (path: string, content: string) => store.put(corpusKey('a', path), content);

it('tells the listing of hints that found no object', async () => {
  for (const path of ['gone.wav', 'gone.zip', 'manifest.csv']) await decide(path);
  await put('there.wav', 'sound');
  await decide('there.wav');
  expect(absent).toEqual(['gone.wav', 'gone.zip', 'manifest.csv'].map((path) => corpusKey('a', path)));
});

describe('a recording', () => {
  it('is published once for each version, and again only on request', async () => {
    await put('a.wav', 'sound');
    expect([await decide('a.wav'), await decide('a.wav'), await decide('a.wav', { again: true })]).toEqual([
      'ingested',
      'unchanged',
      'ingested',
    ]);
    await put('a.wav', 'another');
    expect(await decide('a.wav')).toBe('ingested');
    expect(new Set(published.map(([, record]) => record?.version)).size).toBe(2);
  });

  it('is published again if a stage let go of its present version', async () => {
    await put('a.wav', 'sound');
    await decide('a.wav');
    const { version } = published[0]?.[1] as UtteranceIngested;
    expect(await decide('a.wav', { letGoVersion: 'another-version!' })).toBe('unchanged');
    expect(await decide('a.wav', { letGoVersion: version })).toBe('ingested');
  });

  it('gets one tombstone when it was deleted, and none if it was never live', async () => {
    expect(await decide('never.wav')).toBe('unchanged');
    await put('a.wav', 'sound');
    await decide('a.wav');
    await store.delete(corpusKey('a', 'a.wav'));
    expect([await decide('a.wav'), await decide('a.wav')]).toEqual(['tombstoned', 'unchanged']);
    expect(published.map(([id, record]) => [id, record === null])).toEqual([
      ['a/a.wav', false],
      ['a/a.wav', true],
    ]);
  });

  it('does not count as deleted in a bucket without ingest’s marker', async () => {
    await put('a.wav', 'sound');
    await decide('a.wav');
    store.objects.clear();
    await expect(decide('a.wav')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(published).toHaveLength(1);
  });

  it('is counted if its emotion is none of the four', async () => {
    await put('manifest.csv', 'path,emotion\na.wav,constructor\n');
    await put('a.wav', 'sound');
    expect(await decide('a.wav')).toBe('ingested');
    expect(noCategory).toEqual(['none of the four']);
  });

  it('is published by the next hint if publishing failed', async () => {
    await put('a.wav', 'sound');
    isBrokerAway = true;
    await expect(decide('a.wav')).rejects.toThrow('no broker');
    isBrokerAway = false;
    expect(await decide('a.wav')).toBe('ingested');
  });
});

describe('a further copy of a take', () => {
  const [wav, mp3] = ['AudioWAV/1001_DFA_ANG_XX.wav', 'AudioMP3/1001_DFA_ANG_XX.mp3'];

  it('is left out, and gives way to a better one', async () => {
    await put(mp3, 'mp3');
    expect(await decide(mp3)).toBe('ingested');
    await put(wav, 'wav');
    expect(await decide(wav)).toBe('ingested');
    expect(await decide(mp3)).toBe('tombstoned');
    expect(await decide(mp3)).toBe('left-out');
    expect(published.map(([id, record]) => [id, record === null])).toEqual([
      [`a/${mp3}`, false],
      [`a/${wav}`, false],
      [`a/${mp3}`, true],
    ]);
  });
});

describe('a key', () => {
  it.each(['x/../y.wav', 'x//y.wav', './y.wav', 'a\u0000b.wav', '\ud800.wav', `${'d'.repeat(1_100)}.wav`, 'x//all.zip'])(
    'is refused without a request if no object can have it: %j',
    async (path) => {
      store.calls.length = 0;
      await expect(decide(path)).rejects.toMatchObject({ code: 'OBJECT_KEY_INVALID' });
      expect(store.calls).toEqual([]);
    },
  );

  it.each(['notes.txt', 'x/manifest.csv', '._a.wav'])('is skipped if it is neither audio nor annotation: %s', async (path) => {
    expect(await decide(path)).toBe('not-ours');
    expect(await decider.decide(hintAt('models/a.wav', 'event'), origin)).toBe('not-ours');
  });
});

describe('annotations', () => {
  it('have their corpus decided again once for each state, and again on request', async () => {
    await put('manifest.csv', 'path\n');
    expect([await decide('manifest.csv'), await decide('manifest.csv'), await decide('manifest.csv', { again: true })]).toEqual([
      'annotations',
      'unchanged',
      'annotations',
    ]);
    await store.delete(corpusKey('a', 'manifest.csv'));
    expect(await decide('manifest.csv')).toBe('annotations');
    expect(swept).toEqual(['a', 'a', 'a']);
  });

  it('fail their own file and each recording of the corpus until they are mended', async () => {
    await put('manifest.jsonl', 'null\n');
    await put('a.wav', 'sound');
    const refused = { code: 'MANIFEST_INVALID', message: expect.stringContaining('manifest.jsonl, line 1') as string };
    await expect(decide('manifest.jsonl')).rejects.toMatchObject(refused);
    await expect(decide('manifest.jsonl'), 'the letter may not have been written').rejects.toMatchObject(refused);
    await expect(decide('a.wav')).rejects.toMatchObject(refused);
    expect(swept, 'the recordings are looked at once').toEqual(['a']);

    await put('manifest.jsonl', '{"path":"a.wav","emotion":"sad"}\n');
    expect(await decide('manifest.jsonl')).toBe('annotations');
    expect(await decide('a.wav', { reason: 'annotations' })).toBe('ingested');
    expect(published.at(-1)?.[1]?.labels.category).toBe('sad');
  });

  it.each([
    ['manifest.jsonl', 'null\n', '7\n'],
    ['manifest.csv', 'path,split\na.wav,tset\n', 'path,split\na.wav,tets\n'],
    ['corpus.json', '{"silence":"loud"}', '[]'],
  ])('that are wrong in %s give one letter for each recording and file, whichever hint reads them', async (file, wrong, stillWrong) => {
    await put(file, wrong);
    await put('a.wav', 'sound');
    const paths = file === 'manifest.csv' ? ['a.wav'] : ['a.wav', file];
    for (const path of paths) {
      const first = await decideWithLetter(path);
      expect(first).toMatch(/_INVALID$/);
      for (const hint of [{ reason: 'annotations' }, { reason: 'listing', state: 'of the listing' }, {}] as const)
        expect(await decideWithLetter(path, hint)).toBe('refused-before');
      expect(await decideWithLetter(path, { again: true }), 'a replay').toBe(first);
    }

    await put(file, stillWrong);
    await sleep(5); // a hint names its time to the millisecond
    for (const path of paths) expect(await decideWithLetter(path, { reason: 'annotations' }), 'another fault').toMatch(/_INVALID$/);
    await store.delete(corpusKey('a', file));
    await sleep(5);
    expect(await decideWithLetter('a.wav', { reason: 'annotations' })).toBe('ingested');
    await put(file, stillWrong);
    await sleep(5);
    expect(await decideWithLetter('a.wav', { reason: 'annotations' }), 'wrong again').toMatch(/_INVALID$/);
  });

  it('are read again if their stored state is damaged', async () => {
    await put('manifest.csv', 'path\n');
    await store.put(`state/annotations/${corpusKey('a', 'manifest.csv')}.json`, '[[[[ no state');
    expect(await decide('manifest.csv')).toBe('annotations');
  });
});

describe('an archive', () => {
  it('is handed over with the record of its hint', async () => {
    const etag = await put('all.zip', 'PK');
    expect([await decide('all.zip'), await decide('all.zip', { again: true })]).toEqual(['unpacking', 'unchanged']);
    expect(archives.map(({ head, corpus, again }) => [head.key, head.etag, corpus, again])).toEqual([
      ['corpora/a/all.zip', etag, 'a', false],
      ['corpora/a/all.zip', etag, 'a', true],
    ]);
    expect(archives[0]?.origin).toBe(origin);
  });

  it('is ignored when it was deleted', async () => expect(await decide('gone.zip')).toBe('unchanged'));
});

it('throws an error of the store about one object unchanged', async () => {
  store.answer = (name, key) => {
    if (name === 'head' && key.endsWith('cold.wav')) throw new PipelineError('OBJECT_REFUSED', 'InvalidObjectState');
  };
  await expect(decide('cold.wav')).rejects.toMatchObject({ code: 'OBJECT_REFUSED' });
});
