import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ExtractedFeatures } from '#audio/extract-features.js';
import { featureSettings, settingsHash, tileSizeBytes } from '#audio/feature-settings.js';
import { readShard } from '#audio/shard/shard-file.js';
import { shardKey } from '#contracts/object-keys.js';
import { largestFactBytes, shardSealedSchema } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { beginSpan } from '#service/spans.js';
import { sha256Hex } from '#storage/object-store.js';
import { ShardBuilder } from './shard-builder.js';

const settings = featureSettings({ rows: 16, width: 32 });
const tileBytes = tileSizeBytes(settings);

const utteranceOf = (utteranceId: string): UtteranceIngested => ({
  ...{ utteranceId, version: 'v'.repeat(16), corpus: 'c', objectKey: `corpora/${utteranceId}`, etag: 'e', sizeBytes: 1 },
  ...{ labels: { category: 'happy', speakerId: 'c/s' }, split: 'train', withheld: false, silence: 'none' },
  ingestedAt: '2026-11-22T09:14:07.332Z',
});
const featuresOf = (count: number, value = 1): ExtractedFeatures => ({
  times: Array.from({ length: count }, (_, tile) => ({ startSec: tile, endSec: tile + 1 })),
  ...{
    tiles: new Uint8Array(count * tileBytes).fill(value),
    count,
    starts: [],
    leftOut: {},
    frames: 32 * count,
    audioSec: 2,
    keptSec: 1.5,
  },
  ...{ cut: { startSec: 0, endSec: 0 } as unknown as ExtractedFeatures['cut'], sampleRateHz: 16_000, decoder: 'wav' },
});
const add = (builder: ShardBuilder, utteranceId: string, count = 1, value = 1): void =>
  builder.add({ utterance: utteranceOf(utteranceId), features: featuresOf(count, value), offset: utteranceId, sealing: beginSpan('seal') });

let builder: ShardBuilder;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  builder = new ShardBuilder('labelled', settings);
});
afterEach(() => vi.useRealTimers());

const never = { tiles: 1e9, bytes: 1e9, maxAgeMs: 1e9 };

describe('an open shard', () => {
  it('is due at the tile limit', () => {
    add(builder, 'c/a', 3);
    expect(builder.isDue({ ...never, tiles: 4 })).toBe(false);
    add(builder, 'c/b');
    expect(builder.isDue({ ...never, tiles: 4 })).toBe(true);
    expect(builder.sizeBytes).toBe(4 * tileBytes);
  });

  it('is due at the age limit, counted from its first tile', () => {
    add(builder, 'c/a');
    vi.advanceTimersByTime(900);
    add(builder, 'c/b');
    expect(builder.isDue({ ...never, maxAgeMs: 1_000 })).toBe(false);
    vi.advanceTimersByTime(100);
    expect(builder.isDue({ ...never, maxAgeMs: 1_000 })).toBe(true);
  });

  it('is due when its tiles reach the limit of bytes', () => {
    add(builder, 'c/a', 3);
    expect(builder.isDue({ ...never, bytes: 4 * tileBytes })).toBe(false);
    add(builder, 'c/b');
    expect(builder.isDue({ ...never, bytes: 4 * tileBytes })).toBe(true);
  });

  it('is due when its list of utterances fills a record', () => {
    const longName = 'x'.repeat(largestFactBytes / 4);
    for (let i = 0; i < 3; i++) add(builder, `c/${i}${longName}`);
    expect(builder.isDue(never)).toBe(false);
    add(builder, `c/3${longName}`);
    expect(builder.isDue(never)).toBe(true);
  });

  it('is never due while it is empty', () => {
    expect(builder.isDue({ tiles: 0, bytes: 0, maxAgeMs: 0 })).toBe(false);
  });
});

describe('a removed utterance', () => {
  it('returns its offset once', () => {
    add(builder, 'c/a');
    expect(builder.remove('c/unknown')).toBeNull();
    expect(builder.remove('c/a')).toBe('c/a');
    expect(builder.remove('c/a')).toBeNull();
    expect(builder).toMatchObject({ isEmpty: true, tileCount: 0, sizeBytes: 0 });
  });

  it('removes its tiles, its bytes of the list and its age', () => {
    const longName = 'x'.repeat(largestFactBytes);
    add(builder, `c/${longName}`, 100);
    vi.advanceTimersByTime(900);
    add(builder, 'c/b');
    builder.remove(`c/${longName}`);
    expect(builder.isDue({ ...never, tiles: 100, maxAgeMs: 1_000 })).toBe(false);
    vi.advanceTimersByTime(999);
    expect(builder.isDue({ ...never, tiles: 100, maxAgeMs: 1_000 })).toBe(false);
    vi.advanceTimersByTime(1);
    expect(builder.isDue({ ...never, tiles: 100, maxAgeMs: 1_000 })).toBe(true);
  });

  it('resets the age of a shard that held it alone', () => {
    add(builder, 'c/a');
    vi.advanceTimersByTime(5_000);
    builder.remove('c/a');
    add(builder, 'c/b');
    expect(builder.isDue({ ...never, maxAgeMs: 1_000 })).toBe(false);
  });
});

describe('a sealed shard', () => {
  it('is named by the digest of its bytes, and its record assigns each row to an utterance', () => {
    add(builder, 'c/a', 2, 7);
    add(builder, 'c/removed', 1, 8);
    add(builder, 'c/b', 1, 9);
    builder.remove('c/removed');
    const { bytes, fact, offsets } = builder.seal();
    expect(shardSealedSchema.parse(fact)).toEqual(fact);
    expect(fact).toMatchObject({
      ...{ shardId: sha256Hex(bytes), objectKey: shardKey(settingsHash(settings, null), sha256Hex(bytes)) },
      ...{ stream: 'labelled', sizeBytes: bytes.byteLength, tile: [16, 32], tileCount: 3 },
      utterances: [
        { utteranceId: 'c/a', firstRow: 0, tileCount: 2, audioSec: 2, cutSec: 0.5 },
        { utteranceId: 'c/b', firstRow: 2, tileCount: 1 },
      ],
    });
    expect(offsets).toEqual(['c/a', 'c/b']);
    const file = readShard(bytes);
    expect([0, 1, 2].map((row) => [file.utteranceIdAt(row), file.tileIndexAt(row), file.tileAt(row)[0]])).toEqual([
      ['c/a', 0, 7],
      ['c/a', 1, 7],
      ['c/b', 0, 9],
    ]);
  });
});
