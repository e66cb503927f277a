import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '#contracts/dead-letters.js';
import { madeShard, madeUtterance } from '#contracts/made-facts.fixture.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { indexOf, linesOf } from './index-contents.js';
import { heldOut, isTrained, newestLearntAt, refuseLeaks, trainedTiles, TrainingIndex } from './training-index.js';

const utterance = madeUtterance;
const shard = (shardId: string, ids: [string, string][], changes: Partial<ShardSealed> = {}): ShardSealed =>
  madeShard(shardId, ids, { tilesEach: 2, ...changes });

const letter = (utteranceId: string, version: string, settingsHash: string): DeadLetter => ({
  stage: 'features',
  code: 'AUDIO_SILENT',
  message: 'silent',
  origin: { topic: 't', partition: 0, offset: '0', keyBase64: null, valueBase64: null },
  utteranceId,
  version,
  settingsHash,
  failedAt: '2026-01-01T00:00:00.000Z',
});

describe('how fresh a view is', () => {
  const at = (minute: number): string => `2026-01-01T00:0${minute}:07.000Z`;
  const made = (...utterances: UtteranceIngested[]): TrainingIndex => {
    const index = new TrainingIndex();
    for (const each of utterances) index.applyUtterance(each.utteranceId, each);
    index.applyShard(
      's',
      shard(
        's',
        utterances.slice(0, 4).map(({ utteranceId }) => [utteranceId, 'v1']),
      ),
    );
    index.caughtUp();
    return index;
  };
  const index = made(
    utterance('c/old', { ingestedAt: at(1) }),
    utterance('c/new', { ingestedAt: at(2) }),
    utterance('c/dev', { ingestedAt: at(3), split: 'dev' }),
    utterance('c/withheld', { ingestedAt: at(4), withheld: true }),
    utterance('c/without-tiles', { ingestedAt: at(5) }),
  );

  it('follows from the newest utterance that training uses, not from held-out ones or ones without tiles', () => {
    expect(newestLearntAt(index.view())).toBe(at(2));
  });

  it('survives in a snapshot', () => {
    expect(newestLearntAt(indexOf(linesOf(index)).view())).toBe(at(2));
  });

  it('is unknown for an old snapshot without it and for an empty view', () => {
    const lines = linesOf(index).map((line) => line.replace(/"ingestedAtSec":\[[^\]]*\],/, ''));
    expect(lines.join()).not.toContain('ingestedAtSec');
    expect(newestLearntAt(indexOf(lines).view())).toBeNull();
    expect(newestLearntAt(new TrainingIndex().view())).toBeNull();
  });
});

describe('TrainingIndex', () => {
  it('counts an utterance once, from the lowest shard id, in any order of facts', () => {
    const facts: ((index: TrainingIndex) => void)[] = [
      (index) => index.applyUtterance('c/a', utterance('c/a')),
      (index) => index.applyShard('b2', shard('b2', [['c/a', 'v1']])),
      (index) =>
        index.applyShard(
          'a1',
          shard('a1', [
            ['c/x', 'v1'],
            ['c/a', 'v1'],
          ]),
        ),
      (index) => index.applyShard('b2', shard('b2', [['c/a', 'v1']])),
    ];
    const views = [facts, [...facts].reverse()].map((order) => {
      const index = new TrainingIndex();
      for (const apply of order) apply(index);
      return index.view();
    });
    expect(views[0]?.utterances).toHaveLength(1);
    expect(views[0]?.utterances[0]).toMatchObject({ shardId: 'a1', firstRow: 2, tileCount: 2 });
    expect(views[1]).toEqual(views[0]);
  });

  it('drops an old version at once, and takes the new one when its shard arrives', () => {
    const index = new TrainingIndex();
    index.applyUtterance('c/a', utterance('c/a'));
    index.applyShard('1', shard('1', [['c/a', 'v1']]));
    index.applyUtterance('c/a', utterance('c/a', { version: 'v2' }));
    expect(index.view().utterances).toEqual([]);
    index.applyShard('2', shard('2', [['c/a', 'v2']], { stream: 'unlabelled' }));
    expect(index.view().utterances).toMatchObject([{ version: 'v2', stream: 'unlabelled' }]);
    // The late shard of the old version changes nothing.
    index.applyShard('0', shard('0', [['c/a', 'v1']]));
    expect(index.view().utterances).toMatchObject([{ version: 'v2', shardId: '2' }]);
  });

  it('drops a deleted utterance, and falls back to another shard when one is withdrawn', () => {
    const index = new TrainingIndex();
    index.applyUtterance('c/a', utterance('c/a'));
    index.applyShard('1', shard('1', [['c/a', 'v1']]));
    index.applyShard('2', shard('2', [['c/a', 'v1']]));
    index.applyShard('1', null);
    expect(index.view().utterances).toMatchObject([{ shardId: '2' }]);
    index.applyUtterance('c/a', null);
    expect(index.view().utterances).toEqual([]);
  });

  describe('after features has announced its settings', () => {
    const rows = (...ids: string[]): [string, string][] => ids.map((id) => [id, 'v1']);
    const newer = { settingsHash: 'new', sealedAt: '2026-02-01T00:00:00.000Z' };
    const uses = (c: string, tile: [number, number] = [128, 256]) => ({
      default: { settingsHash: 'h', tile: [128, 256] as [number, number] },
      corpora: { c: { settingsHash: c, tile } },
    });
    /** c/a and c/b have tiles under both settings, d/a under the former. */
    const moved = (): TrainingIndex => {
      const index = new TrainingIndex();
      for (const id of ['c/a', 'c/b', 'd/a']) index.applyUtterance(id, utterance(id));
      index.applyShard('1', shard('1', rows('c/a', 'c/b', 'd/a')));
      index.applySettings(uses('new'));
      index.caughtUp();
      index.applyShard('2', shard('2', rows('c/a'), newer));
      expect(index.view().settings).toEqual({ c: 'h', d: 'h' });
      index.applyDeadLetter(letter('c/b', 'v1', 'new'));
      expect(index.view().settings).toEqual({ c: 'new', d: 'h' });
      return index;
    };

    it('returns to earlier settings with older shards, but only once those are complete again', () => {
      const index = moved();
      index.applyUtterance('c/late', utterance('c/late'));
      index.applyShard('3', shard('3', rows('c/late'), newer));
      index.applySettings(uses('h'));
      expect(index.view().settings).toEqual({ c: 'new', d: 'h' });
      index.applyShard('4', shard('4', rows('c/late'), { sealedAt: '2026-03-01T00:00:00.000Z' }));
      expect(index.view().settings).toEqual({ c: 'h', d: 'h' });
      expect(index.size).toBe(4);
    });

    it('moves to no other settings, however new and complete', () => {
      const index = moved();
      index.applyShard('3', shard('3', rows('c/a', 'c/b'), { settingsHash: 'newest', sealedAt: '2026-04-01T00:00:00.000Z' }));
      expect(index.view().settings['c']).toBe('new');
      index.applySettings(uses('newest'));
      expect(index.view().settings['c']).toBe('newest');
    });

    it('reads under the earlier settings while the announced ones have lost all tiles', () => {
      const index = moved();
      index.applyShard('2', null);
      expect(index.view().settings['c']).toBe('h');
      index.applyShard('2', shard('2', rows('c/a'), { ...newer, sealedAt: '2026-05-01T00:00:00.000Z' }));
      expect(index.view().settings['c']).toBe('new');
    });

    it('changes the geometry only for all corpora at once, and returns in the same way', () => {
      const index = moved();
      const narrow = (id: string, ids: [string, string][]) =>
        index.applyShard(id, shard(id, ids, { settingsHash: 'narrow', tile: [128, 128], sealedAt: '2026-03-01T00:00:00.000Z' }));
      index.applySettings(uses('narrow', [128, 128]));
      narrow('5', rows('c/a', 'c/b'));
      expect(index.choice.geometry).toBe('128x256');
      index.applySettings({ default: { settingsHash: 'narrow', tile: [128, 128] }, corpora: {} });
      expect(index.choice.geometry).toBe('128x256');
      narrow('6', rows('d/a'));
      expect(index.choice).toMatchObject({ geometry: '128x128', settings: { c: 'narrow', d: 'narrow' } });
      index.applySettings(uses('new'));
      expect(index.choice).toMatchObject({ geometry: '128x256', settings: { c: 'new', d: 'h' } });
    });
  });

  it('keeps the settings of a corpus until newer ones cover all of it, then moves at once', () => {
    const index = new TrainingIndex();
    for (const id of ['c/a', 'c/b', 'd/a']) index.applyUtterance(id, utterance(id));
    const rows = (...ids: string[]): [string, string][] => ids.map((id) => [id, 'v1']);
    index.applyShard('1', shard('1', rows('c/a', 'c/b', 'd/a')));
    index.caughtUp();
    const newer = { settingsHash: 'new', sealedAt: '2026-02-01T00:00:00.000Z' };
    index.applyShard('2', shard('2', rows('c/a'), newer));
    expect(index.view()).toMatchObject({
      settings: { c: 'h', d: 'h' },
      utterances: [{ shardId: '1' }, { shardId: '1' }, { shardId: '1' }],
    });
    index.applyDeadLetter(letter('c/b', 'v1', 'new'));
    const view = index.view();
    expect(view).toMatchObject({ settings: { c: 'new', d: 'h' }, settingsHash: 'h', tile: [128, 256] });
    expect(view.utterances.map(({ utteranceId, shardId }) => [utteranceId, shardId])).toEqual([
      ['c/a', '2'],
      ['d/a', '1'],
    ]);
    // An utterance without tiles under the new settings does not move it back.
    index.applyUtterance('c/late', utterance('c/late'));
    index.applyShard('3', shard('3', rows('c/late')));
    expect(index.view().settings).toEqual({ c: 'new', d: 'h' });
  });

  it('has one tile geometry, and moves to a newer one once that covers all corpora', () => {
    const index = new TrainingIndex();
    for (const id of ['c/a', 'd/a']) index.applyUtterance(id, utterance(id));
    index.applyShard('1', shard('1', [['c/a', 'v1']]));
    index.applyShard('2', shard('2', [['d/a', 'v1']]));
    index.caughtUp();
    const newer = { settingsHash: 'new', tile: [64, 256] as [number, number], sealedAt: '2026-02-01T00:00:00.000Z' };
    index.applyShard('3', shard('3', [['c/a', 'v1']], newer));
    expect(index.view()).toMatchObject({ settings: { c: 'h', d: 'h' }, tile: [128, 256] });
    index.applyShard('4', shard('4', [['d/a', 'v1']], newer));
    expect(index.view()).toMatchObject({ settings: { c: 'new', d: 'new' }, settingsHash: 'new', tile: [64, 256] });
  });

  it('keeps its tile geometry when one announcement states another for the same settings', () => {
    const index = new TrainingIndex();
    const tile: [number, number] = [128, 256];
    index.applyUtterance('c/a', utterance('c/a'));
    index.applyUtterance('c/b', utterance('c/b'));
    index.applyShard('2', shard('2', [['c/a', 'v1']], { tile }));
    index.applyShard('3', shard('3', [['c/b', 'v1']], { tile }));
    index.caughtUp();
    index.applyShard('1', shard('1', [['c/a', 'v1']], { tile: [1000, 1] }));
    expect(index.tile).toEqual([128, 256]);
  });

  it('reads the remaining tiles of another geometry when all shards of its own are withdrawn', () => {
    const index = new TrainingIndex();
    index.caughtUp();
    index.applyUtterance('c/a', utterance('c/a'));
    index.applyUtterance('c/b', utterance('c/b'));
    index.applyShard('low', shard('low', [['c/a', 'v1']], { settingsHash: 'low', tile: [64, 256] }));
    // Sealed before announcements stated the geometry. A hash without shards does not state it either.
    index.applyShard('old', shard('old', [['c/a', 'v1']], { settingsHash: 'old' }));
    index.applyShard('low', null);
    expect(index.view().utterances.map(({ shardId }) => shardId)).toEqual(['old']);
    expect(index.tile).toEqual([128, 256]);
  });

  it('makes a view that later facts do not change', () => {
    const index = new TrainingIndex();
    index.applyUtterance('c/a', utterance('c/a'));
    index.applyShard('1', shard('1', [['c/a', 'v1']]));
    const view = index.view();
    index.applyUtterance('c/a', null);
    expect(view.utterances).toHaveLength(1);
    expect(index.view().digest).not.toBe(view.digest);
  });
});

describe('training', () => {
  it('uses training speakers without their withheld utterances', () => {
    const index = new TrainingIndex();
    index.applyUtterance('c/train', utterance('c/train', { labels: { category: 'sad' } }));
    index.applyUtterance('c/withheld', utterance('c/withheld', { withheld: true }));
    index.applyUtterance('c/dev', utterance('c/dev', { split: 'dev' }));
    index.applyUtterance('c/test', utterance('c/test', { split: 'test' }));
    index.applyShard(
      '1',
      shard(
        '1',
        ['c/train', 'c/withheld', 'c/dev', 'c/test'].map((id): [string, string] => [id, 'v1']),
      ),
    );
    const view = index.view();
    expect(view.utterances.filter(isTrained).map((each) => each.utteranceId)).toEqual(['c/train']);
    expect(trainedTiles(view, ({ labels }) => labels.category !== undefined)).toEqual({ labelled: 2, unlabelled: 0 });
    expect(trainedTiles(view, ({ labels }) => labels.valence !== undefined)).toEqual({ labelled: 0, unlabelled: 2 });
  });

  it('never scores what it used, even if late labels move that out of training', () => {
    const index = new TrainingIndex();
    const known = (speakerId: string): Partial<UtteranceIngested> => ({ labels: { speakerId } });
    index.applyUtterance('c/withheld-late', utterance('c/withheld-late', { ...known('c/s1'), withheld: true }));
    index.applyUtterance('c/withheld', utterance('c/withheld', { ...known('c/s1'), withheld: true }));
    index.applyUtterance('c/test-late', utterance('c/test-late', { ...known('c/s2'), split: 'test' }));
    index.applyUtterance('c/test-of-heard-speaker', utterance('c/test-of-heard-speaker', { ...known('c/s1'), split: 'test' }));
    index.applyUtterance('c/test', utterance('c/test', { ...known('c/s3'), split: 'test' }));
    const ids = ['c/withheld-late', 'c/withheld', 'c/test-late', 'c/test-of-heard-speaker', 'c/test'];
    index.applyShard(
      '1',
      shard(
        '1',
        ids.map((id): [string, string] => [id, 'v1']),
      ),
    );
    const heard = { utteranceIds: new Set(['c/withheld-late', 'c/test-late']), speakerIds: new Set(['c/s1']) };
    expect(heldOut(index.view(), heard).map((each) => each.utteranceId)).toEqual(['c/test', 'c/withheld']);
  });

  it('refuses a view with a speaker in two splits', () => {
    const index = new TrainingIndex();
    index.applyUtterance('c/a', utterance('c/a', { labels: { speakerId: 'c/s' } }));
    index.applyUtterance('c/b', utterance('c/b', { labels: { speakerId: 'c/s' }, split: 'test' }));
    index.applyShard(
      '1',
      shard('1', [
        ['c/a', 'v1'],
        ['c/b', 'v1'],
      ]),
    );
    expect(() => refuseLeaks(index.view())).toThrow(/c\/s is in train and in test/);
  });
});

it('counts each changed utterance, however many come in one shard', () => {
  const index = new TrainingIndex();
  index.applyUtterance('c/a', utterance('c/a'));
  index.applyUtterance('c/b', utterance('c/b'));
  expect(index.changes).toBe(0);
  index.applyShard(
    's1',
    shard('s1', [
      ['c/a', 'v1'],
      ['c/b', 'v1'],
      ['c/late', 'v1'],
    ]),
  );
  expect(index.changes).toBe(2);
  index.applyUtterance('c/late', utterance('c/late'));
  expect(index.changes).toBe(3);
  index.applyUtterance('c/late', utterance('c/late'));
  index.applyUtterance('c/b', null);
  expect(index.changes).toBe(4);
});

describe('refusals', () => {
  it('leave index and snapshot once their utterance is deleted or their version replaced, unless they are young', () => {
    const index = new TrainingIndex();
    const now = new Date().toISOString();
    for (const id of ['c/live', 'c/replaced', 'c/deleted']) {
      index.applyUtterance(id, utterance(id));
      index.applyDeadLetter(letter(id, 'v1', 'h'));
    }
    index.applyDeadLetter({ ...letter('c/ahead', 'v7', 'h'), failedAt: now });
    index.applyUtterance('c/replaced', utterance('c/replaced', { version: 'v2' }));
    index.applyUtterance('c/deleted', null);
    const lines = linesOf(index);
    const refused = (from: TrainingIndex): string[] =>
      [...from.held.utterances].flatMap(({ utteranceId, refusals }) => (refusals ?? []).map(({ version }) => `${utteranceId}@${version}`));
    expect(refused(index)).toEqual(['c/live@v1', 'c/ahead@v7']);
    expect([...index.held.utterances].map(({ utteranceId }) => utteranceId)).toEqual(['c/live', 'c/replaced', 'c/ahead']);
    expect(refused(indexOf(lines))).toEqual(['c/live@v1', 'c/ahead@v7']);
    // The snapshot holds the time of the refusal too.
    const restored = indexOf(lines);
    restored.dropOldRefusals(Date.now() + 2 * 3_600_000);
    expect(refused(restored)).toEqual(['c/live@v1']);
  });
});
