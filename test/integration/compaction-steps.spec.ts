/** Compaction on a real broker and store, step by step: it must never lose, duplicate or wrongly delete a tile. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deadLetters } from '#contracts/dead-letters.js';
import { evaluations } from '#contracts/evaluations.js';
import { featureSettingsChosen } from '#contracts/feature-settings.js';
import { bucketMarkerKey, predictionsKey, runLeaseKey } from '#contracts/object-keys.js';
import { objectHints } from '#contracts/object-hints.js';
import { shardsLabelled } from '#contracts/shards.js';
import { topicName, type Topic } from '#contracts/topic.js';
import { utterances } from '#contracts/utterances.js';
import { writePredictions } from '#evaluation/predictions-file.js';
import { sha256Hex } from '#storage/object-store.js';
import { TableFollower, type FollowedRecord } from '#streaming/table-follower.js';
import type { CompactionJob } from '#compaction/compaction-job.js';
import { Lease } from '#storage/lease.js';
import { silent, until } from '../chaos/stream-under-test.js';
import { MadeShards, Mortal, version, type Rows } from './made-shards.js';

let made: MadeShards;
beforeEach(async () => {
  made = await new MadeShards().prepare();
});
afterEach(() => made.close());

const idsOf = (contents: Record<string, string>): string[] => Object.keys(contents).sort();
const at = (id: string, name = '1'): string => `${id}@${version(name)}`;
const unreferenced = async (): Promise<string[]> => {
  const announced = new Set([...(await made.announced()).values()].map(({ objectKey }) => objectKey));
  return (await made.keys('shards/')).filter((key) => !announced.has(key));
};

describe('a compacted shard', () => {
  it('has the same rows byte for byte, without erased, superseded and duplicate rows, in fewer shards', async () => {
    await made.ingest(['c/a', '1'], ['c/b', '1'], ['c/c', '2'], ['c/d', '1'], ['c/e', '1'], ['c/gone', '1']);
    await made.seal([['c/d', '1', 3]]);
    await made.seal([
      ['c/b', '1', 2],
      ['c/a', '1', 1],
    ]);
    await made.seal([['c/e', '1', 2]], { stream: 'unlabelled' });
    const before = await made.contents();
    await made.seal([
      ['c/gone', '1', 2],
      ['c/a', '1', 1],
      ['c/c', '1', 2],
    ]);
    await made.seal([['c/c', '2', 2]]);
    await made.erase('c/gone');
    const job = await made.job();
    const wanted = { shardsBefore: 5, written: 1, withdrawn: 4, dropped: { erased: 2, superseded: 2, duplicate: 1 }, unreadable: [] };
    const dry = await job.run({ dryRun: true });
    expect(dry).toMatchObject({ ...wanted, shardsAfter: 2, shardsDeleted: 0 });
    expect((await made.announced()).size).toBe(5);
    const report = await job.run();
    expect(report).toMatchObject({ ...wanted, shardsAfter: 2, shardsDeleted: 4, waiting: 0, notSwept: null });
    expect(report.bytesFreed).toBe(report.withdrawnBytes);
    const after = await made.contents();
    expect(idsOf(after)).toEqual([at('c/a'), at('c/b'), at('c/c', '2'), at('c/d'), at('c/e')].sort());
    expect(after).toMatchObject(before);
    expect(await unreferenced()).toEqual([]);
    expect(await job.run()).toMatchObject({ written: 0, withdrawn: 0, shardsDeleted: 0 });
  });

  it('is as old as its oldest part, so that moving does not make old tiles new', async () => {
    await made.ingest(['c/a', '1'], ['c/b', '1']);
    const sealed = [await made.seal([['c/a', '1', 1]]), await made.seal([['c/b', '1', 1]])];
    await (await made.job()).run();
    const [shard] = [...(await made.announced()).values()];
    expect(shard?.sealedAt).toBe(sealed.map(({ sealedAt }) => sealedAt).sort()[0]);
  });

  it('leaves a shard whose object is gone or damaged to the trainer, and compacts the others', async () => {
    const ids = ['c/a', 'c/b', 'c/c', 'c/d'];
    await made.ingest(...ids.map((id): [string, string] => [id, '1']));
    const [gone, damaged] = [await made.seal([['c/a', '1', 2]]), await made.seal([['c/b', '1', 2]])];
    for (const id of ['c/c', 'c/d']) await made.seal([[id, '1', 2]]);
    await made.store.delete(gone.objectKey);
    await made.store.put(damaged.objectKey, 'no shard');
    const report = await (await made.job()).run();
    expect(report.unreadable.sort()).toEqual([gone.shardId, damaged.shardId].sort());
    expect(report).toMatchObject({ shardsAfter: 3, withdrawn: 2 });
    const left = await made.announced();
    expect([left.has(gone.shardId), left.has(damaged.shardId)]).toEqual([true, true]);
  });
});

describe('a compaction that was killed at any step and run again', () => {
  /** Merges, a rewrite in two pieces, another, a withdrawal unread, and objects to delete. Sizes leave one way to pack them. */
  const scenario = async (corpus: string, settingsHash: string): Promise<void> => {
    const id = (name: string): string => `${corpus}/${name}`;
    await made.ingest(...['a', 'b', 'c', 'd', 'e'].map((name): [string, string] => [id(name), '1']), [id('x'), '2'], [id('gone'), '1']);
    await made.erase(id('gone'));
    const shards: Rows[] = [
      [[id('a'), '1', 2]],
      [[id('b'), '1', 1]],
      [
        [id('c'), '1', 6],
        [id('gone'), '1', 1],
        [id('d'), '1', 8],
      ],
      [[id('x'), '1', 3]],
      [
        [id('e'), '1', 5],
        [id('x'), '1', 2],
      ],
    ];
    for (const rows of shards) await made.seal(rows, { settingsHash });
  };

  it('ends in the same state as one that was not killed', async () => {
    const corpora: string[] = [];
    const mortal = new Mortal();
    // The next run knows only the topics, like a new process.
    const job = await made.job({ store: mortal.store(made.store), publisher: mortal.publisher(made.publisher) });
    const next = await made.job();
    for (let dieAt = 1, survived = false; !survived; dieAt++) {
      for (const done of [false, true]) {
        const corpus = `k${dieAt}${done ? 'd' : 'b'}`;
        corpora.push(corpus);
        await scenario(corpus, sha256Hex(corpus).slice(0, 16));
        mortal.willDieAt(dieAt, done);
        await job.run().catch((error: Error) => expect(error.message).toBe('killed'));
        survived = mortal.survived;
        await next.run();
      }
    }
    const shards = [...(await made.announced()).values()];
    for (const corpus of corpora) {
      const own = shards.filter(({ utterances: [each] }) => each?.utteranceId.startsWith(`${corpus}/`));
      const lists = own.map((shard) => shard.utterances.map((each) => each.utteranceId.slice(corpus.length + 1)).join('+'));
      expect(lists.sort(), corpus).toEqual(['a+d', 'b+c', 'e']);
    }
    await made.contents();
    expect(await unreferenced()).toEqual([]);
    expect(corpora.length).toBeGreaterThan(20);
  });
});

it('withdraws the tiles of feature settings that no corpus uses, and deletes their objects', async () => {
  const [former, next] = ['a'.repeat(16), 'b'.repeat(16)];
  await made.ingest(['c/a', '1'], ['c/b', '1'], ['c/bad', '1']);
  const old = await made.seal(
    [
      ['c/a', '1', 6],
      ['c/b', '1', 3],
    ],
    { settingsHash: former },
  );
  await made.seal([['c/a', '1', 6]], { settingsHash: next });
  const tile = [16, 32] as [number, number];
  const chosenAt = new Date().toISOString();
  await made.publisher.publish(featureSettingsChosen, { default: { settingsHash: next, tile }, corpora: {}, chosenAt });
  const letter = { stage: 'features', code: 'AUDIO_SILENT', message: 'a test', version: version('1'), failedAt: chosenAt } as const;
  const origin = { topic: 't', partition: 0, offset: '0', keyBase64: null, valueBase64: null };
  await made.publisher.publish(deadLetters, { ...letter, origin, utteranceId: 'c/bad', settingsHash: next });
  const isOld = { settingsHash: former, shards: 1 };
  // Some of its live utterances have no tiles under the other settings yet.
  expect(await (await made.job()).run()).toMatchObject({ retired: [], abandoned: [] });
  await made.seal([['c/b', '1', 6]], { settingsHash: next });
  expect(await (await made.job({ settingsGraceMs: 60_000 })).run()).toMatchObject({ retired: [], abandoned: [isOld], withdrawn: 0 });
  expect(await (await made.job()).run({ dryRun: true })).toMatchObject({ retired: [isOld], withdrawn: 1, shardsAfter: 2 });
  expect((await made.announced()).size).toBe(3);
  expect(await (await made.job()).run()).toMatchObject({
    retired: [isOld],
    withdrawn: 1,
    shardsBefore: 3,
    shardsAfter: 2,
    shardsDeleted: 1,
  });
  expect([...(await made.announced()).values()].map(({ settingsHash }) => settingsHash)).toEqual([next, next]);
  expect(await made.keys('shards/')).not.toContain(old.objectKey);
});

describe('a record that comes during a compaction', () => {
  /** A follower that gets utterances only on request, and shards at once. */
  class LateReader extends TableFollower {
    private late: (() => void)[] = [];
    private isFirst = true;
    afterFirstSync: () => Promise<void> = () => Promise.resolve();

    override on<Fact>(topic: Topic<Fact>, onFact: (key: string, fact: Fact | null, record: FollowedRecord) => void): this {
      if (topic.noun !== utterances.noun) return super.on(topic, onFact);
      return super.on(topic, (...words) => void this.late.push(() => onFact(...words)));
    }

    override async sync(): Promise<void> {
      await super.sync();
      for (const apply of this.late.splice(0)) apply();
      const isFirst = this.isFirst;
      this.isFirst = false;
      if (isFirst) await this.afterFirstSync();
    }
  }

  it('keeps a shard whose utterance record was not read yet', async () => {
    await made.ingest(['c/a', '1']);
    const reader = new LateReader(made.kafka, made.prefix, 'late', silent);
    reader.afterFirstSync = async () => {
      await made.ingest(['c/a', '2'], ['c/new', '1']);
      for (const rows of [[['c/a', '2', 2]], [['c/new', '1', 2]]] as Rows[]) await made.seal(rows);
      // Waits until this reader has the shards. It gets their utterances later.
      await TableFollower.prototype.sync.call(reader);
    };
    const job = await made.job({ follower: reader });
    await job.run();
    expect(idsOf(await made.contents())).toEqual([at('c/a', '2'), at('c/new')]);
  });

  it('keeps or restores the shard of an utterance that returns to an older version', async () => {
    await made.ingest(['c/a', '1'], ['c/a', '2']);
    const shard = await made.seal([['c/a', '1', 2]]);
    let back = async (): Promise<void> => {
      back = () => Promise.resolve();
      await made.ingest(['c/a', '1']);
      await made.publisher.publish(shardsLabelled, shard);
    };
    // The record comes just before the shard is withdrawn, and the job has not read it.
    const publisher = Object.create(made.publisher, {
      tombstone: {
        value: async (...words: Parameters<typeof made.publisher.tombstone>) => {
          await back();
          await made.publisher.tombstone(...words);
        },
      },
    }) as typeof made.publisher;
    await (await made.job({ publisher })).run();
    const hinted: string[] = [];
    const hints = new TableFollower(made.kafka, made.prefix, 'hints', silent).on(
      objectHints,
      (key, fact) => fact?.again && hinted.push(key),
    );
    await hints.start();
    await hints.stop();
    expect(hinted).toEqual(['corpora/c/a']);
  });
});

describe('two jobs at once', () => {
  it('let one work, and the other names the holder of the lease or waits', async () => {
    await made.ingest(['c/a', '1'], ['c/b', '1']);
    for (const id of ['c/a', 'c/b']) await made.seal([[id, '1', 1]]);
    let goOn = (): void => undefined;
    let reached = (): void => undefined;
    const open = new Promise<void>((resolve) => (goOn = resolve));
    const atGate = new Promise<void>((resolve) => (reached = resolve));
    const gated = Object.create(made.store, {
      put: {
        value: async (...words: Parameters<typeof made.store.put>) => {
          if (words[0].startsWith('shards/')) {
            reached();
            await open;
          }
          return made.store.put(...words);
        },
      },
    }) as typeof made.store;
    const [first, second] = [await made.job({ store: gated, holder: 'first' }), await made.job({ holder: 'second' })];
    const working = first.run();
    await atGate;
    await expect(second.run()).rejects.toMatchObject({ code: 'LEASE_HELD', message: expect.stringContaining('first') as string });
    const waits: string[] = [];
    const waiting = second.run({ onWait: (by) => waits.push(by) });
    await until(
      () => 'the second to wait',
      () => waits.length > 0,
    );
    goOn();
    expect(await working).toMatchObject({ written: 1, withdrawn: 2 });
    expect(await waiting).toMatchObject({ written: 0, withdrawn: 0 });
    expect(new Set(waits)).toEqual(new Set(['first']));
    expect(idsOf(await made.contents())).toEqual([at('c/a'), at('c/b')]);
  });

  it('stop the job whose lease was taken over from withdrawing shards', async () => {
    await made.ingest(['c/a', '1'], ['c/b', '1']);
    for (const id of ['c/a', 'c/b']) await made.seal([[id, '1', 1]]);
    const zombie = Object.create(made.publisher, {
      publish: {
        value: async (...words: Parameters<typeof made.publisher.publish>) => {
          await made.publisher.publish(...words);
          await (await made.job({ holder: 'zombie' })).run();
        },
      },
    }) as typeof made.publisher;
    const job = await made.job({ publisher: zombie, holder: 'zombie' });
    await expect(job.run()).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(idsOf(await made.contents())).toEqual([at('c/a'), at('c/b')]);
  });
});

describe('an object without an announcement', () => {
  it('is deleted after a grace period over several jobs, unless it is announced meanwhile', async () => {
    const [late, never] = [
      await made.seal([['c/a', '1', 1]], { announced: false }),
      await made.seal([['c/b', '1', 1]], { announced: false }),
    ];
    await made.ingest(['c/a', '1']);
    const graceMs = 3_000;
    expect(await (await made.job({ graceMs })).run()).toMatchObject({ waiting: 2, shardsDeleted: 0 });
    await made.publisher.publish(shardsLabelled, late);
    await sleep(graceMs);
    const next = await made.job({ graceMs });
    expect(await next.run({ dryRun: true })).toMatchObject({ waiting: 0, shardsDeleted: 1 });
    expect(await next.run()).toMatchObject({ waiting: 0, shardsDeleted: 1, bytesFreed: never.sizeBytes });
    expect(await made.keys('shards/')).toEqual([late.objectKey]);
  });

  it('stays while an older round runs, and is deleted when the next round has begun', async () => {
    const shard = await made.seal([['c/a', '1', 1]]);
    await made.ingest(['c/a', '1']);
    await made.erase('c/a');
    const lease = await Lease.acquire(made.store, runLeaseKey('run'), 'trainer', () => undefined);
    await lease.note({ roundStartedAt: new Date() });
    const job = await made.job();
    expect(await job.run()).toMatchObject({ withdrawn: 1, shardsDeleted: 0, waiting: 1, heldByReaders: 1 });
    expect(await made.keys('shards/')).toEqual([shard.objectKey]);
    await sleep(5);
    await lease.note({ roundStartedAt: new Date() });
    expect(await job.run()).toMatchObject({ shardsDeleted: 1, heldByReaders: 0 });
    expect(await made.keys('shards/')).toEqual([]);
  });

  it('stays if the bucket also serves other topics; a bucket of other topics is refused', async () => {
    await made.seal([['c/a', '1', 1]], { announced: false });
    await made.store.put('shards/notes.txt', 'not ours');
    await made.store.put(bucketMarkerKey('other'), '{}');
    const job = await made.job();
    expect(await job.run()).toMatchObject({ shardsDeleted: 0, notSwept: expect.stringContaining('bucket-of-other') as string });
    await made.store.delete(bucketMarkerKey('other'));
    await made.store.delete(bucketMarkerKey(made.prefix));
    await expect(job.run()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await made.store.put(bucketMarkerKey(made.prefix), '{}');
    expect(await job.run()).toMatchObject({ shardsDeleted: 1 });
    expect(await made.keys('shards/')).toEqual(['shards/notes.txt']);
  });
});

describe('predictions', () => {
  const put = async (step: number, ids: string[]): Promise<string> => {
    const rows = ids.map((utteranceId) => ({
      utteranceId,
      split: 'test' as const,
      speakerId: '',
      truth: 0,
      probabilities: new Float32Array([1, 0]),
    }));
    const bytes = writePredictions(rows, 2);
    const key = predictionsKey({ runId: 'run', step, task: 'emotion', sha256: sha256Hex(bytes) });
    await made.store.put(key, bytes);
    return key;
  };
  const evaluate = (step: number): Promise<void> =>
    made.publisher.publish(evaluations, {
      ...{ runId: 'run', step, task: 'emotion', split: 'test', n: 1, speakers: 1, wa: 1, ua: 1, uaInterval: null, recall: {} },
      ...{ classes: ['a', 'b'], confusion: [], viewDigest: '', evaluatedAt: new Date().toISOString() },
    });

  it('that name an erased utterance are deleted once they are scored, and all others stay', async () => {
    await made.ingest(['c/a', '1', 'test'], ['c/b', '1', 'test']);
    const [both, other, unscored] = [await put(1, ['c/a', 'c/b']), await put(2, ['c/b']), await put(3, ['c/a'])];
    for (const step of [1, 2]) await evaluate(step);
    const job = await made.job();
    expect(await job.run()).toMatchObject({ predictionsDeleted: 0 });
    await made.erase('c/a');
    expect(await job.run()).toMatchObject({ predictionsDeleted: 1, waiting: 0 });
    expect(await made.keys('predictions/')).toEqual([other, unscored].sort());
    await evaluate(3);
    expect(await job.run()).toMatchObject({ predictionsDeleted: 1 });
    expect(await made.keys('predictions/')).toEqual([other]);
    expect(both).not.toBe(other);
  });

  it('are read once over several processes, and again after an erasure', async () => {
    await made.ingest(['c/a', '1', 'test'], ['c/b', '1', 'test']);
    const [first, second] = [await put(1, ['c/a']), await put(2, ['c/b'])];
    for (const step of [1, 2]) await evaluate(step);
    const looked = async (job: CompactionJob): Promise<number> => {
      let count = 0;
      await job.run({ onProgress: ({ doing, done }) => void (doing === 'looking at predictions' && (count = done)) });
      return count;
    };
    const before = await made.job();
    expect(await looked(before)).toBe(2);
    const idle = await made.job({ clean: before.clean });
    expect(await looked(idle)).toBe(0);
    await made.erase('c/a');
    const after = await made.job({ clean: idle.clean });
    expect(await looked(after)).toBe(2);
    expect(await made.keys('predictions/')).toEqual([second]);
    const last = await made.job({ clean: after.clean });
    expect(await looked(last)).toBe(0);
    expect(first).not.toBe(second);
  });
});

describe('topics that Kafka compacts at once', () => {
  const atOnce = [
    { name: 'segment.ms', value: '1000' },
    { name: 'delete.retention.ms', value: '1000' },
    { name: 'min.cleanable.dirty.ratio', value: '0.01' },
    { name: 'cleanup.policy', value: 'compact' },
  ];

  it('give a new reader the same state, although records and tombstones are gone', async () => {
    const names = [utterances, shardsLabelled].map((topic) => topicName(topic, made.prefix));
    const admin = made.kafka.admin();
    await admin.connect();
    await admin.alterConfigs({ validateOnly: false, resources: names.map((name) => ({ type: 2, name, configEntries: atOnce })) });
    await admin.disconnect();
    const old = await made.job({ holder: 'old' });
    const recordsOf = async (): Promise<number> => {
      let count = 0;
      const follower = new TableFollower(made.kafka, made.prefix, 'count', silent).on(shardsLabelled, () => count++);
      await follower.start();
      await follower.stop();
      return count;
    };
    let written = 0;
    const round = async (name: string): Promise<void> => {
      await made.ingest(['c/a', name], [`c/${name}`, '1']);
      await made.seal([['c/a', name, 1]]);
      await made.seal([[`c/${name}`, '1', 1]]);
      await made.erase(`c/${name}`);
      const { written: shards, withdrawn } = await old.run();
      written += 2 + shards + withdrawn;
    };
    let rounds = 0;
    await until(
      () => `the broker to compact; ${written} records were written`,
      async () => {
        await round(`v${++rounds}`);
        await sleep(500);
        return rounds > 4 && (await recordsOf()) < written / 2;
      },
      120,
    );
    const fresh = await made.job({ holder: 'fresh' });
    expect(await fresh.run()).toMatchObject({ written: 0, withdrawn: 0, shardsDeleted: 0, shardsAfter: 1 });
    expect(idsOf(await made.contents())).toEqual([at('c/a', `v${rounds}`)]);
    expect(await unreferenced()).toEqual([]);
  });
});
