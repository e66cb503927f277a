/** The splits of speakers are recorded once, and no speaker moves: not by growth, not by an older installation, not by a race. */
import { beforeEach, expect, it } from 'vitest';
import type { Split } from '#contracts/labels.js';
import { speakerSplitsKey } from '#contracts/object-keys.js';
import type { NamedSpeaker } from '#corpora/corpus-reader.js';
import { hashedSplit } from '#corpora/splits.js';
import { MemoryStore } from './memory-store.fixture.js';
import { SpeakerRegister } from './speaker-register.js';

const roster = (count: number): NamedSpeaker[] => Array.from({ length: count }, (_, index) => ({ speakerId: `s${index}` }));
const none: ReadonlyMap<string, Split> = new Map();
const countOf = (splits: ReadonlyMap<string, Split>, split: Split): number => [...splits.values()].filter((each) => each === split).length;
let store: MemoryStore;
beforeEach(() => {
  store = new MemoryStore();
});

it('gives 24 speakers five that decide and two that pick, and records them without their names', async () => {
  const placed = await new SpeakerRegister(store).place('c', roster(24), none);
  expect([countOf(placed, 'dev'), countOf(placed, 'test'), countOf(placed, 'train')]).toEqual([7, 2, 15]);
  const json = String(store.objects.get(speakerSplitsKey('c')));
  expect(Object.keys((JSON.parse(json) as { splits: object }).splits)).toHaveLength(24);
  expect(json).not.toContain('"s1"');
});

it('moves no speaker while the corpus grows and shrinks, over restarts', async () => {
  const seen = new Map<string, Split>();
  for (const count of [4, 11, 24, 23, 60, 99, 140, 30, 12]) {
    const placed = await new SpeakerRegister(store).place('c', roster(count), none);
    for (const { speakerId } of roster(count)) {
      const split = placed.get(speakerId) ?? hashedSplit('c', speakerId);
      expect(seen.get(speakerId) ?? split, `${speakerId} of ${count}`).toBe(split);
      seen.set(speakerId, split);
    }
  }
});

it('keeps the splits that an older installation recorded, and places new speakers only', async () => {
  const recorded = new Map(roster(24).map(({ speakerId }) => [speakerId, hashedSplit('c', speakerId)]));
  const register = new SpeakerRegister(store, () => recorded);
  const placed = await register.place('c', roster(24), none);
  expect(placed).toEqual(recorded);
  const grown = await register.place('c', roster(30), none);
  for (const [speaker, split] of recorded) expect(grown.get(speaker)).toBe(split);
  expect(countOf(grown, 'dev')).toBe(Math.min(7, countOf(recorded, 'dev') + 6));
});

it('lets the owner name splits, counts them, and does not record them', async () => {
  const register = new SpeakerRegister(store);
  const named = new Map<string, Split>(['s0', 's1', 's2', 's3', 's4', 's5', 's6'].map((speaker) => [speaker, 'dev']));
  const placed = await register.place('c', roster(24), named);
  expect(countOf(placed, 'dev')).toBe(7);
  for (const speaker of named.keys()) expect(placed.get(speaker)).toBe('dev');
  const splitOfRow = await register.place('d', [{ speakerId: 's0', split: 'test' }, ...roster(24).slice(1)], none);
  expect(splitOfRow.get('s0')).toBe('test');
});

it('gives two instances that place at the same time the same splits', async () => {
  const slow = new MemoryStore(5);
  const [a, b] = await Promise.all([
    new SpeakerRegister(slow).place('c', roster(24), none),
    new SpeakerRegister(slow).place('c', roster(12), none),
  ]);
  for (const { speakerId } of roster(12)) expect(a.get(speakerId), speakerId).toBe(b.get(speakerId));
});

it('writes nothing for a corpus whose annotations name no speaker', async () => {
  expect(await new SpeakerRegister(store).place('c', [], none)).toEqual(new Map());
  expect(store.objects.size).toBe(0);
});
