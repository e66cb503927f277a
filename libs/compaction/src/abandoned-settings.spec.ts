import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FeatureSettingsChosen } from '#contracts/feature-settings.js';
import { shardKey } from '#contracts/object-keys.js';
import { FolderStore } from '#storage/folder-store.js';
import { type RetiredSettings, retireSettings } from './abandoned-settings.js';
import { CompactionState } from './compaction-state.js';

const [former, next, other] = ['a'.repeat(16), 'b'.repeat(16), 'c'.repeat(16)] as const;
const tile = [128, 256] as [number, number];

let folder: string;
let store: FolderStore;
let state: CompactionState;
let withdrawn: string[];
/** Called before each look at the state, as facts may arrive at that moment. */
let onSync: () => void;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-abandoned-'));
  store = new FolderStore(folder);
  state = new CompactionState();
  withdrawn = [];
  onSync = () => undefined;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function chosen(settingsHash: string, corpora: Record<string, string> = {}, tiles: Record<string, [number, number]> = {}): void {
  const settings = (hash: string) => ({ settingsHash: hash, tile: tiles[hash] ?? tile });
  const own = Object.entries(corpora).map(([corpus, hash]) => [corpus, settings(hash)] as const);
  const fact: FeatureSettingsChosen = {
    default: settings(settingsHash),
    corpora: Object.fromEntries(own),
    chosenAt: new Date().toISOString(),
  };
  state.wanted = fact;
}

function ingest(...ids: string[]): void {
  for (const id of ids) state.applyUtterance(id, { version: 'v1', withheld: false, split: 'train' });
}

/** @returns the id of the shard */
function seal(settingsHash: string, ...ids: string[]): string {
  const shardId = String(state.shards.size + 1).padStart(64, '0');
  state.applyShard(shardId, {
    ...{ shardId, stream: 'labelled', objectKey: shardKey(settingsHash, shardId), sizeBytes: 100, settingsHash, tileCount: ids.length },
    sealedAt: '2026-11-22T09:14:36.118Z',
    utterances: ids.map((utteranceId, firstRow) => ({ utteranceId, version: 'v1', firstRow, tileCount: 1, audioSec: 1, cutSec: 0 })),
  });
  return shardId;
}

const refuse = (utteranceId: string, settingsHash: string): void =>
  state.applyDeadLetter({ stage: 'features', utteranceId, version: 'v1', settingsHash });

async function retire({ settingsGraceMs = 0, dryRun = false } = {}): Promise<{ retired: string[]; abandoned: string[] }> {
  const tombstone = (_topic: unknown, shardId: string): Promise<void> => Promise.resolve(void withdrawn.push(shardId));
  const sync = (): Promise<void> => Promise.resolve(onSync());
  const tools = { store, publisher: { tombstone }, state, sync, verify: () => Promise.resolve(), settingsGraceMs, dryRun };
  const found: RetiredSettings = await retireSettings(tools);
  const hashes = (all: RetiredSettings['retired']): string[] => all.map(({ settingsHash }) => settingsHash);
  return { retired: hashes(found.retired), abandoned: hashes(found.abandoned) };
}
const nothing = { retired: [], abandoned: [] };

describe('feature settings', () => {
  it('lose all their shards when every corpus has left them', async () => {
    ingest('c/a', 'c/b', 'd/a');
    const old = [seal(former, 'c/a', 'c/b'), seal(former, 'd/a')];
    seal(next, 'c/a', 'c/b', 'd/a');
    chosen(next);
    expect(await retire()).toEqual({ retired: [former], abandoned: [] });
    expect(withdrawn).toEqual(old);
    expect(await retire()).toEqual(nothing);
  });

  it('stay for the grace period after they were left, even over several compactions', async () => {
    ingest('c/a');
    seal(former, 'c/a');
    seal(next, 'c/a');
    chosen(next);
    const settingsGraceMs = 60_000;
    expect(await retire({ settingsGraceMs })).toEqual({ retired: [], abandoned: [former] });
    await store.put('state/compaction/abandoned-settings.json', JSON.stringify({ [former]: new Date(Date.now() - 61_000).toISOString() }));
    expect(await retire({ settingsGraceMs })).toEqual({ retired: [former], abandoned: [] });
  });

  it('get the whole grace period again if a corpus went back to them in between', async () => {
    ingest('c/a');
    seal(former, 'c/a');
    seal(next, 'c/a');
    await store.put('state/compaction/abandoned-settings.json', JSON.stringify({ [former]: new Date(0).toISOString() }));
    chosen(former);
    // Now the other settings are abandoned.
    expect(await retire({ settingsGraceMs: 60_000 })).toEqual({ retired: [], abandoned: [next] });
    chosen(next);
    expect(await retire({ settingsGraceMs: 60_000 })).toEqual({ retired: [], abandoned: [former] });
  });

  it('stay while one corpus uses them', async () => {
    ingest('c/a', 'd/a');
    seal(former, 'c/a', 'd/a');
    seal(next, 'c/a');
    chosen(former, { c: next });
    expect(await retire()).toEqual(nothing);
  });

  it('stay while an utterance has no other tiles, unless it has a dead letter under the others', async () => {
    ingest('c/a', 'c/b');
    seal(former, 'c/a', 'c/b');
    seal(next, 'c/a');
    chosen(next);
    expect(await retire()).toEqual(nothing);
    refuse('c/b', former);
    expect(await retire()).toEqual(nothing);
    refuse('c/b', next);
    expect(await retire()).toEqual({ retired: [former], abandoned: [] });
  });

  it('go even if they hold dead versions', async () => {
    ingest('c/a');
    seal(former, 'c/a', 'c/erased');
    seal(next, 'c/a');
    chosen(next);
    expect(await retire()).toEqual({ retired: [former], abandoned: [] });
  });

  it('are abandoned but stay while any corpus is incomplete, because the trainer has not moved', async () => {
    ingest('c/a', 'c/new', 'd/a');
    seal(former, 'c/a');
    seal(next, 'c/a');
    chosen(next);
    expect(await retire()).toEqual({ retired: [], abandoned: [former] });
    seal(next, 'c/new');
    // A corpus without any tiles delays nothing.
    expect(await retire()).toEqual({ retired: [former], abandoned: [] });
  });

  it('are abandoned but stay while corpora have tiles of several geometries', async () => {
    ingest('c/a', 'd/a');
    seal(former, 'c/a', 'd/a');
    seal(next, 'c/a');
    seal(other, 'd/a');
    chosen(next, { d: other }, { [other]: [64, 256] });
    expect(await retire()).toEqual({ retired: [], abandoned: [former] });
  });

  it('stay if a corpus would have only dead letters', async () => {
    ingest('c/a');
    seal(former, 'c/a');
    refuse('c/a', next);
    chosen(next);
    expect(await retire()).toEqual({ retired: [], abandoned: [former] });
  });

  it('stay if features has not announced its settings', async () => {
    ingest('c/a');
    seal(former, 'c/a');
    seal(next, 'c/a');
    expect(await retire()).toEqual(nothing);
  });

  it('are only reported in a dry run', async () => {
    ingest('c/a');
    seal(former, 'c/a');
    seal(next, 'c/a');
    chosen(next);
    expect(await retire({ dryRun: true })).toEqual({ retired: [former], abandoned: [] });
    expect(await retire({ dryRun: true, settingsGraceMs: 1_000 })).toEqual({ retired: [], abandoned: [former] });
    expect([withdrawn, await store.head('state/compaction/abandoned-settings.json')]).toEqual([[], null]);
  });

  it('stay if a corpus goes back to them at that very moment', async () => {
    ingest('c/a');
    seal(former, 'c/a');
    seal(next, 'c/a');
    chosen(next);
    onSync = () => chosen(former);
    await retire();
    expect(withdrawn).toEqual([]);
  });
});
