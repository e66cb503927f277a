/** The overview stays small and quick with many facts: it keeps dead letters without bodies, and a snapshot reads no utterance. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { deadLetterSchema, type DeadLetter } from '#contracts/dead-letters.js';
import { madeShard, madeUtterance } from '#contracts/made-facts.fixture.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { PipelineOverview } from './pipeline-overview.js';

const minute = (at: number): string => new Date(Date.UTC(2026, 0, 1, 0, at)).toISOString();

function letter(at: number, more: Partial<DeadLetter> = {}, body: string | null = null): DeadLetter {
  const origin = { topic: 'bucket-events', partition: 0, offset: String(at), keyBase64: null, valueBase64: body };
  return { stage: 'ingest', code: 'BUCKET_EVENT_UNRECOGNISED', message: 'no known form', origin, failedAt: minute(at), ...more };
}

const utterance = (utteranceId: string, more: Partial<UtteranceIngested> = {}): UtteranceIngested =>
  madeUtterance(utteranceId, { ingestedAt: minute(1), ...more });

const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
};

describe('dead letters in the overview', () => {
  it('keep no bodies, so that a flood of large letters takes little memory, and each counts once', () => {
    const overview = new PipelineOverview();
    const fold = (at: number): void => {
      const text = JSON.stringify(letter(at, {}, Buffer.alloc(150_000, `junk ${at}`).toString('base64')));
      overview.applyDeadLetter(deadLetterSchema.parse(JSON.parse(text)));
    };
    fold(0);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let at = 0; at < 500; at++) fold(at);
    for (let at = 990; at < 500; at++) fold(at);
    collectGarbage();
    // The bodies add up to 100 MB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(20e6);
    expect(overview.snapshot().deadLetters).toMatchObject({
      total: 500,
      open: 500,
      byCode: { BUCKET_EVENT_UNRECOGNISED: 500 },
      groups: [{ stage: 'ingest', code: 'BUCKET_EVENT_UNRECOGNISED', corpus: null, count: 500, latestSubject: 'bucket-events/0/499' }],
    });
  });

  it('are the newest 200, with shortened names and messages', () => {
    const overview = new PipelineOverview();
    for (let at = 0; at < 300; at++) overview.applyDeadLetter(letter(at, { message: 'm'.repeat(50_000) }));
    expect(overview.deadLetters.map(({ subject }) => subject)).toEqual(
      Array.from({ length: 200 }, (_, at) => `bucket-events/0/${at + 100}`),
    );
    expect(overview.deadLetters.every(({ message }) => message.length < 2_000)).toBe(true);
    expect(overview.snapshot().deadLetters.latest[0]?.key).toBe('bucket-events/0/299');
    // A letter that comes again becomes the newest, and still counts once.
    overview.applyDeadLetter(letter(3));
    expect(overview.deadLetters.at(-1)?.subject).toBe('bucket-events/0/3');
    expect(overview.snapshot().deadLetters.total).toBe(300);
  });

  it('are open until their utterance is in a shard, also beyond the newest 200', () => {
    const overview = new PipelineOverview();
    overview.applyUtterance('c/a', utterance('c/a'));
    overview.applyDeadLetter(letter(0, { stage: 'features', code: 'AUDIO_EMPTY', utteranceId: 'c/a', version: 'v0' }));
    for (let at = 1; at <= 250; at++) overview.applyDeadLetter(letter(at));
    expect(overview.openDeadLetters).toBe(251);
    overview.applyShard('1', shardOf('1', ['c/a']));
    expect(overview.openDeadLetters).toBe(250);
    overview.applyShard('1', null);
    expect(overview.openDeadLetters).toBe(251);
  });
});

const shardOf = (shardId: string, ids: string[]): ShardSealed =>
  madeShard(
    shardId,
    ids.map((id) => [id, 'v1'] as const),
    { stream: 'unlabelled', audioSec: 2, sealedAt: minute(1) },
  );

describe('a snapshot', () => {
  it('reads no utterance, however many there are', () => {
    let looks = 0;
    const watched = (fact: UtteranceIngested): UtteranceIngested =>
      new Proxy(fact, {
        get: (target, name) => {
          looks++;
          return target[name as keyof UtteranceIngested];
        },
      });
    const overview = new PipelineOverview();
    const ids = Array.from({ length: 5_000 }, (_, at) => `c/${at}`);
    for (const id of ids) overview.applyUtterance(id, watched(utterance(id)));
    overview.applyShard('1', shardOf('1', ids.slice(0, 2_500)));
    for (const id of ids.slice(2_500, 2_600))
      overview.applyDeadLetter(letter(1, { stage: 'features', code: 'AUDIO_EMPTY', utteranceId: id, version: 'v1' }));
    looks = 0;
    const { reconciliation, streams, utterances, deadLetters } = overview.snapshot();
    expect(looks).toBe(0);
    expect(reconciliation).toEqual({ utterances: 5_000, inShards: 2_500, deadLettered: 100, inFlight: 2_400 });
    expect([streams.unlabelled.audioSec, utterances.byCorpus, deadLetters.open]).toEqual([5_000, { c: 5_000 }, 100]);
    expect(overview.newestTrainableAt).toBe(minute(1));
    expect(looks).toBeLessThan(10);
  });
});

describe('a corpus with unusable annotations', () => {
  const refusal = (at: number, id: string): DeadLetter =>
    letter(at, {
      code: 'MANIFEST_INVALID',
      message: `line ${at}: gender "f" is not one of female, male`,
      objectKey: `corpora/${id}`,
      utteranceId: id,
    });

  it('is listed with the reason, the newest input and the time, until its recordings are ingested', () => {
    const overview = new PipelineOverview();
    overview.applyDeadLetter(refusal(5, 'constructor/a.wav'));
    overview.applyDeadLetter(refusal(7, 'constructor/b.wav'));
    overview.applyDeadLetter(refusal(7, 'constructor/b.wav'));
    expect(overview.snapshot().refusedCorpora).toEqual([
      {
        corpus: 'constructor',
        code: 'MANIFEST_INVALID',
        message: 'line 7: gender "f" is not one of female, male',
        key: 'corpora/constructor/b.wav',
        since: minute(5),
        latestAt: minute(7),
        recordings: 2,
      },
    ]);
    overview.applyUtterance('constructor/a.wav', utterance('constructor/a.wav', { corpus: 'constructor', ingestedAt: minute(9) }));
    expect(overview.snapshot().refusedCorpora).toMatchObject([{ recordings: 1 }]);
    overview.applyUtterance('constructor/b.wav', utterance('constructor/b.wav', { corpus: 'constructor', ingestedAt: minute(9) }));
    expect(overview.snapshot().refusedCorpora).toEqual([]);
    overview.applyDeadLetter(refusal(20, 'constructor/c.wav'));
    expect(overview.snapshot().refusedCorpora).toMatchObject([{ since: minute(20), recordings: 1 }]);
  });

  it('is listed for a day if all of its recordings are alive with older annotations', () => {
    const now = Date.now();
    const ago = (hours: number): string => new Date(now - hours * 3_600_000).toISOString();
    const overview = new PipelineOverview();
    for (const [corpus, hours] of [
      ['new', 1],
      ['old', 30],
    ] as const) {
      overview.applyUtterance(`${corpus}/a`, utterance(`${corpus}/a`, { corpus, ingestedAt: ago(50) }));
      overview.applyDeadLetter({ ...refusal(0, `${corpus}/a`), failedAt: ago(hours) });
    }
    expect(overview.snapshot().refusedCorpora).toMatchObject([{ corpus: 'new', recordings: 1, since: ago(1) }]);
  });

  it('is listed for a letter about a file that is not a recording, until a recording is ingested later', () => {
    const overview = new PipelineOverview();
    const at = new Date(Date.now() - 60_000).toISOString();
    overview.applyDeadLetter(
      letter(0, {
        code: 'CORPUS_OPTIONS_INVALID',
        message: 'reader: Invalid option',
        objectKey: 'corpora/acted/corpus.json',
        failedAt: at,
      }),
    );
    expect(overview.snapshot().refusedCorpora).toMatchObject([{ corpus: 'acted', key: 'corpora/acted/corpus.json', recordings: 0 }]);
    overview.applyUtterance('acted/a', utterance('acted/a', { corpus: 'acted', ingestedAt: new Date().toISOString() }));
    expect(overview.snapshot().refusedCorpora).toEqual([]);
  });

  it('is not listed as refused for rows that are wrong alone: they are counted until their recordings are ingested', () => {
    const overview = new PipelineOverview();
    for (const [at, name] of ['d.wav', 'c.wav', 'b.wav', 'a.wav'].entries())
      overview.applyDeadLetter({ ...refusal(at, `acted/${name}`), rowAlone: true });
    overview.applyDeadLetter({ ...refusal(3, 'acted/a.wav'), rowAlone: true });
    const line = (at: number) => `line ${at}: gender "f" is not one of female, male`;
    expect(overview.snapshot()).toMatchObject({
      refusedCorpora: [],
      refusedRows: [{ corpus: 'acted', rows: 4, first: [line(0), line(1), line(2)] }],
    });
    for (const name of ['d.wav', 'c.wav'])
      overview.applyUtterance(`acted/${name}`, utterance(`acted/${name}`, { corpus: 'acted', ingestedAt: minute(9) }));
    expect(overview.snapshot().refusedRows).toEqual([{ corpus: 'acted', rows: 2, first: [line(2), line(3)] }]);
    overview.applyDeadLetter({ ...refusal(20, 'acted/c.wav'), rowAlone: true });
    expect(overview.snapshot().refusedRows).toMatchObject([{ rows: 3 }]);
  });
});
