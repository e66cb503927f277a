import { beforeEach, describe, expect, it } from 'vitest';
import { TrainingIndex } from '#index/training-index.js';
import type { RescorePolicy } from './rescore-policy.js';
import { type BacklogModel, ScoreBacklog } from './score-backlog.js';

const day = 86_400_000;
const now = Date.parse('2026-11-30T12:00:00Z');
const modelOf = (step: number, champion: number | null, settings = 'h'): BacklogModel => ({
  name: `main/${step}`,
  identity: { champion },
  accepts: (hash) => hash === settings,
});
const scoredBy = (step: number, version = 'v1') => ({
  version,
  model: { runId: 'main', step, target: 'emotion' as const, champion: null },
});

let index: TrainingIndex;
let backlog: ScoreBacklog;
let mine: (utteranceId: string) => boolean;
let nowMs: number;

function begin(rescore: RescorePolicy = { kind: 'all' }): void {
  index = new TrainingIndex();
  mine = () => true;
  nowMs = now;
  backlog = new ScoreBacklog({ index, rescore, owns: (id) => mine(id), now: () => nowMs });
}
beforeEach(() => begin());

function ingest(utteranceId: string, version = 'v1', daysAgo = 0): void {
  index.applyUtterance(utteranceId, {
    ...{ version, labels: {}, split: 'train', withheld: false, ingestedAt: new Date(now - daysAgo * day).toISOString() },
  });
  backlog.consider([utteranceId]);
}
function seal(shardId: string, ids: string[], { version = 'v1', settingsHash = 'h', tiles = 1 } = {}): void {
  index.applyShard(shardId, {
    ...{ shardId, stream: 'unlabelled', settingsHash, sealedAt: '2026-11-30T11:00:00Z' },
    utterances: ids.map((utteranceId, at) => ({ utteranceId, version, firstRow: at * tiles, tileCount: tiles })),
  });
  backlog.consider(ids);
}
function erase(utteranceId: string): void {
  index.applyUtterance(utteranceId, null);
  backlog.consider([utteranceId]);
}
/** Carries out all work with this model. @returns the kind and ids of each piece */
function workOff(step: number): string[] {
  const log: string[] = [];
  for (let work = backlog.next(8); work; work = backlog.next(8)) {
    const ids = work.kind === 'tombstones' ? work.utteranceIds : work.utterances.map(({ utterance }) => utterance.utteranceId);
    log.push(`${work.kind} ${ids.join(' ')}`);
    for (const id of ids)
      backlog.applyScore(id, work.kind === 'tombstones' ? null : scoredBy(step, index.liveTiles(id, () => true)?.version ?? ''));
    backlog.done(ids);
  }
  return log;
}

describe('a backlog', () => {
  it('gives out each live utterance once for a version and a model', () => {
    backlog.serve(modelOf(20, 1));
    for (const id of ['c/a', 'c/b', 'c/c']) ingest(id);
    seal('s1', ['c/a', 'c/b']);
    expect(workOff(20)).toEqual(['new c/a c/b']);
    seal('s2', ['c/a', 'c/c']);
    expect(workOff(20)).toEqual(['new c/c']);
    ingest('c/a', 'v2');
    expect(workOff(20)).toEqual([]);
    seal('s3', ['c/a'], { version: 'v2' });
    expect(workOff(20)).toEqual(['new c/a']);
    expect(backlog.counts).toMatchObject({ scored: 3, due: 0 });
  });

  it('gives out no utterance that is in work, also if a fact about it comes', () => {
    backlog.serve(modelOf(20, 1));
    ingest('c/a');
    seal('s1', ['c/a']);
    expect(backlog.next(8)?.kind).toBe('new');
    seal('s2', ['c/a']);
    expect(backlog.next(8)).toBeNull();
    ingest('c/a', 'v2');
    seal('s3', ['c/a'], { version: 'v2' });
    backlog.applyScore('c/a', scoredBy(20, 'v1'));
    backlog.done(['c/a']);
    expect(workOff(20)).toEqual(['new c/a']);
  });

  it('never gives out tiles of settings that the model does not know', () => {
    backlog.serve(modelOf(20, 1, 'other'));
    ingest('c/a');
    seal('s1', ['c/a']);
    expect(workOff(20)).toEqual([]);
    expect(backlog.stateOf('c/a')).toBe('other-settings');
    seal('s2', ['c/a'], { settingsHash: 'other' });
    expect(workOff(20)).toEqual(['new c/a']);
  });

  it('writes a tombstone for the score of a deleted utterance, also if a late score comes after it', () => {
    backlog.serve(modelOf(20, 1));
    ingest('c/a');
    seal('s1', ['c/a']);
    workOff(20);
    erase('c/a');
    expect(workOff(20)).toEqual(['tombstones c/a']);
    backlog.applyScore('c/a', scoredBy(20)); // by a process that was stopped and woke up
    expect(workOff(20)).toEqual(['tombstones c/a']);
    expect(backlog.stateOf('c/a')).toBeNull();
  });

  it('replaces a late score of an older version', () => {
    backlog.serve(modelOf(20, 1));
    ingest('c/a', 'v2');
    seal('s1', ['c/a'], { version: 'v2' });
    workOff(20);
    backlog.applyScore('c/a', scoredBy(20, 'v1'));
    expect(workOff(20)).toEqual(['new c/a']);
  });

  it('limits the tiles of one piece of work, and takes a longer utterance alone', () => {
    backlog.serve(modelOf(20, 1));
    for (const id of ['c/a', 'c/b', 'c/c']) ingest(id);
    seal('s1', ['c/a', 'c/b', 'c/c'], { tiles: 5 });
    expect(workOff(20)).toEqual(['new c/a', 'new c/b', 'new c/c']);
  });

  it('leaves the utterances of other processes, and takes them over', () => {
    backlog.serve(modelOf(20, 1));
    mine = (id) => id === 'c/a';
    for (const id of ['c/a', 'c/b']) ingest(id);
    seal('s1', ['c/a', 'c/b']);
    expect(workOff(20)).toEqual(['new c/a']);
    mine = () => true;
    backlog.considerAll();
    expect(workOff(20)).toEqual(['new c/b']);
  });

  it('tries an unreadable shard again later, and a failed version with the next model only', () => {
    backlog.serve(modelOf(20, 1));
    ingest('c/a');
    seal('s1', ['c/a']);
    expect(backlog.next(8)?.kind).toBe('new');
    backlog.postpone('c/a', 10_000);
    backlog.done(['c/a']);
    expect(backlog.next(8)).toBeNull();
    nowMs += 10_000;
    expect(backlog.next(8)?.kind).toBe('new');
    backlog.fail({ utteranceId: 'c/a', version: 'v1' });
    backlog.done(['c/a']);
    expect(backlog.next(8)).toBeNull();
    expect(backlog.counts).toMatchObject({ failed: 1 });
    backlog.serve(modelOf(40, 2));
    expect(workOff(40)).toEqual(['new c/a']);
  });
});

describe('a promotion', () => {
  const begun = (rescore: RescorePolicy): void => {
    begin(rescore);
    backlog.serve(modelOf(20, 1));
    ingest('c/old', 'v1', 31);
    ingest('c/recent', 'v1', 29);
    seal('s1', ['c/old', 'c/recent']);
    workOff(20);
  };

  it.each([
    [{ kind: 'new' }, []],
    [{ kind: 'recent', days: 30 }, ['again c/recent']],
    [{ kind: 'all' }, ['again c/old c/recent']],
  ] satisfies [RescorePolicy, string[]][])('scores again what %o says', (rescore, expected) => {
    begun(rescore);
    backlog.serve(modelOf(40, 2));
    expect(backlog.counts.outdated).toBe(expected.length === 0 ? 0 : expected[0]?.split(' ').length! - 1);
    expect(workOff(40)).toEqual(expected);
  });

  it('lets new utterances pass, and continues where it was after a restart', () => {
    begun({ kind: 'all' });
    backlog.serve(modelOf(40, 2));
    backlog.applyScore('c/old', scoredBy(40)); // scored before the process died
    ingest('c/new');
    seal('s2', ['c/new']);
    expect(workOff(40)).toEqual(['new c/new', 'again c/recent']);
  });

  it('scores nothing again if the newest model is no champion', () => {
    begun({ kind: 'all' });
    backlog.serve(modelOf(40, null));
    expect(workOff(40)).toEqual([]);
  });
});
