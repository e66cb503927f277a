/** A corpus is read once for each state of its files, and an unreadable corpus fails alone. */
import { beforeEach, describe, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { createLogger } from '#service/logger.js';
import { defaultAnnotationLimits } from './annotation-limits.js';
import { CorpusCatalogue } from './corpus-catalogue.js';
import { describeObject } from './describe-object.js';
import { MemoryStore } from './memory-store.fixture.js';

let store: MemoryStore;
let catalogue: CorpusCatalogue;
const put = (path: string, content: string | Uint8Array, corpus = 'a') => store.put(corpusKey(corpus, path), content);
/** Asks after the time for which an answer is trusted. */
const corpusNow = (name = 'a') => catalogue.corpus(name, Date.now() + 60_000);
const refusal = (name = 'a') =>
  corpusNow(name).then(
    () => null,
    (error: PipelineError) => ({ code: error.code, message: error.message, isPermanent: error.fate === 'permanent' }),
  );
beforeEach(() => {
  store = new MemoryStore();
  const limits = {
    ...defaultAnnotationLimits,
    totalBytes: 10_000,
    lines: 100,
    lineBytes: 1_000,
  };
  catalogue = new CorpusCatalogue(store, createLogger('ingest', 'silent'), () => [], limits);
});

describe('a corpus', () => {
  it('is read with its reader, options and annotations', async () => {
    await put('manifest.csv', 'path,emotion\na.wav,sad\n');
    await put('corpus.json', '{"silence": "ends"}');
    const corpus = await corpusNow();
    expect(corpus.reader.name).toBe('manifest');
    expect(corpus.silence).toBe('ends');
    expect(corpus.annotations.annotationOf('a.wav').labels.category).toBe('sad');
  });

  it('is fetched again only when one of its files changes', async () => {
    await put('manifest.csv', 'path,emotion\na.wav,sad\n');
    const before = await corpusNow();
    expect(await corpusNow()).toBe(before);
    expect(store.callsOf('get').filter((key) => key.endsWith('manifest.csv'))).toHaveLength(1);
    await put('manifest.csv', 'path,emotion\na.wav,angry\n');
    expect((await corpusNow()).annotations.annotationOf('a.wav').labels.category).toBe('angry');
  });

  it('is checked once for callers that ask at the same time', async () => {
    await put('manifest.csv', 'path\n');
    await Promise.all([catalogue.corpus('a'), catalogue.corpus('a'), catalogue.corpus('a')]);
    expect(store.callsOf('head').filter((key) => key.endsWith('corpus.json'))).toHaveLength(1);
  });

  it.each(['constructor', '__proto__', 'toString'])('may be named %s', async (name) => {
    await put('manifest.csv', `path,speaker\na.wav,${name}\n`, name);
    expect((await corpusNow(name)).annotations.annotationOf('a.wav').labels.speakerId).toBe(name);
  });

  it('has one reader for all instances, chosen by the first', async () => {
    await store.put('state/readers/a.json', '{"reader": "emodb"}');
    expect((await corpusNow()).reader.name).toBe('emodb');
  });
});

describe('a corpus that cannot be used', () => {
  const nested = `${'{"reader":'.repeat(100_000)}1${'}'.repeat(100_000)}`;

  it.each<[string, string, string | Uint8Array, string, RegExp]>([
    ['a line of JSON that is null', 'manifest.jsonl', '{"path":"a.wav"}\nnull\n', 'MANIFEST_INVALID', /manifest\.jsonl, line 2/],
    [
      'a manifest that is too large',
      'manifest.csv',
      'path\n' + 'a.wav\n'.repeat(2_000),
      'MANIFEST_INVALID',
      /manifest\.csv.*MANIFEST_MAX_MB/,
    ],
    ['too many rows', 'manifest.csv', 'path\n' + 'a\n'.repeat(101), 'MANIFEST_INVALID', /more than 100 lines/],
    ['a line that is too long', 'manifest.csv', `path\n${'a'.repeat(1_001)}\n`, 'MANIFEST_INVALID', /line 2 has 1001 bytes/],
    ['options that are no object', 'corpus.json', '[]', 'CORPUS_OPTIONS_INVALID', /corpora\/a\/corpus\.json/],
    ['options that are null', 'corpus.json', 'null', 'CORPUS_OPTIONS_INVALID', /corpora\/a\/corpus\.json/],
    ['options of a reader that nobody knows', 'corpus.json', '{"reader": "constructor"}', 'CORPUS_OPTIONS_INVALID', /reader/],
    ['options that are nested deeply', 'corpus.json', nested, 'CORPUS_OPTIONS_INVALID', /corpus\.json/],
    ['options that are no UTF-8', 'corpus.json', Uint8Array.of(0x7b, 0xff), 'CORPUS_OPTIONS_INVALID', /UTF-8/],
  ])('is refused alone for %s, and works again when the file is mended', async (_name, path, content, code, message) => {
    await put(path, content);
    await put('manifest.csv', 'path\n', 'b');
    expect(await refusal()).toMatchObject({ code, message: expect.stringMatching(message) as string, isPermanent: true });
    expect(await refusal('b')).toBeNull();
    expect(catalogue.refusedCount).toBe(1);
    await put(path, path.endsWith('.csv') ? 'path\n' : '{}');
    if (path === 'manifest.jsonl') await store.delete(corpusKey('a', path));
    expect(await refusal()).toBeNull();
    expect(catalogue.refusedCount).toBe(0);
  });

  it('is not fetched if its stated size is too large', async () => {
    await put('manifest.csv', 'x'.repeat(20_000));
    await put('corpus.json', ' '.repeat(2_000_000), 'b');
    expect([(await refusal())?.code, (await refusal('b'))?.code]).toEqual(['MANIFEST_INVALID', 'CORPUS_OPTIONS_INVALID']);
    expect(store.callsOf('get').filter((key) => key.startsWith('corpora/'))).toEqual([]);
  });

  it('is read once, not once for each recording', async () => {
    await put('manifest.jsonl', 'null\n');
    for (let recordings = 0; recordings < 5; recordings++) await refusal();
    expect(store.callsOf('get').filter((key) => key.endsWith('manifest.jsonl'))).toHaveLength(1);
  });

  it('is refused for an unknown error too, with the cause', async () => {
    store.answer = (name, key) => {
      if (name === 'list' && key.startsWith('corpora/a/')) throw new RangeError('who would have thought');
    };
    expect(await refusal()).toMatchObject({ code: 'ANNOTATIONS_UNREADABLE', message: expect.stringContaining('who would') as string });
    expect(await refusal('b')).toBeNull();
  });

  it('says how to choose if two readers recognise it, and is tried again with each listing', async () => {
    await put('wav/03a01Wa.wav', 'sound');
    await put('Actor_12/03-01-05-01-02-01-12.wav', 'sound');
    expect(await refusal()).toMatchObject({ code: 'CORPUS_OPTIONS_INVALID', message: expect.stringContaining('corpus.json') as string });
    expect(catalogue.refusedCount).toBe(1);
    await put('corpus.json', '{"reader": "emodb"}');
    expect((await corpusNow()).reader.name).toBe('emodb');
    expect(catalogue.refusedCount).toBe(0);
  });

  it('says which object to delete if the state that ingest stored is damaged', async () => {
    await store.put('state/readers/a.json', '{"reader": "nobody"}');
    expect((await refusal())?.message).toContain('state/readers/a.json');
  });
});

it('an outage of the store is no refusal', async () => {
  store.answer = () => {
    throw new PipelineError('STORAGE_UNAVAILABLE', 'away');
  };
  expect(await refusal()).toMatchObject({ code: 'STORAGE_UNAVAILABLE', isPermanent: false });
  expect(catalogue.refusedCount).toBe(0);
  store.answer = () => undefined;
  expect(await refusal()).toBeNull();
});

it('reads the files again if an annotation file is deleted meanwhile', async () => {
  await put('manifest.csv', 'path\n');
  store.answer = (name, key) => {
    if (name === 'get' && key.endsWith('manifest.csv')) store.objects.delete(key);
  };
  expect(await refusal()).toBeNull();
});

describe('the splits of a small corpus', () => {
  const ravdess = (actor: number): string =>
    `Actor_${String(actor).padStart(2, '0')}/03-01-03-01-01-01-${String(actor).padStart(2, '0')}.wav`;
  const splitsOfRavdess = async (): Promise<Record<string, number>> => {
    const corpus = await corpusNow('ravdess');
    const counts: Record<string, number> = { train: 0, dev: 0, test: 0 };
    for (let actor = 1; actor <= 24; actor++) {
      const head = { key: corpusKey('ravdess', ravdess(actor)), etag: 'e', sizeBytes: 1 };
      const { split } = describeObject(corpus, head, ravdess(actor)).record;
      counts[split] = (counts[split] ?? 0) + 1;
    }
    return counts;
  };

  it('hold out enough actors of RAVDESS for a decision', async () => {
    await put(ravdess(1), 'audio', 'ravdess');
    expect(await splitsOfRavdess()).toEqual({ train: 15, dev: 7, test: 2 });
  });

  it('follow corpus.json', async () => {
    await put(ravdess(1), 'audio', 'ravdess');
    await put(
      'corpus.json',
      '{"splits": {"train": ["01", "02", "03"], "dev": ["04", "05", "06", "07", "08", "09", "10", "11"]}}',
      'ravdess',
    );
    expect(await splitsOfRavdess()).toEqual({ train: 14, dev: 8, test: 2 });
  });

  it('stay as they were when rows of new speakers come', async () => {
    const manifest = (count: number): string =>
      `path,speaker,emotion\n${Array.from({ length: count }, (_, n) => `${n}.wav,s${n},sad`).join('\n')}\n`;
    await put('manifest.csv', manifest(12));
    const before = (await corpusNow()).splits;
    await put('manifest.csv', manifest(40));
    const after = (await corpusNow()).splits;
    for (const [speaker, split] of before) expect(after.get(speaker)).toBe(split);
    expect([before.size, after.size]).toEqual([12, 40]);
  });
});
