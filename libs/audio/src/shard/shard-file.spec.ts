import { createHash } from 'node:crypto';
import { tableFromIPC } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { featureSettings, settingsHash } from '../feature-settings.js';
import { readShard, writeShard, type ShardRow } from './shard-file.js';

const settings = featureSettings();
const rows: ShardRow[] = [0, 1, 2].map((number) => ({
  tile: Uint8Array.from({ length: 32_768 }, (_, i) => (i * 7 + number) % 256),
  utteranceId: `emodb/03a01Fa-${number}`,
  version: 'a1b2c3d4e5f60718',
  tileIndex: number,
  corpus: 'emodb',
  speaker: number === 1 ? null : 'emodb:03',
  gender: number === 1 ? null : 'male',
  category: number === 2 ? 'happy' : null,
  activation: number === 0 ? 3.5 : null,
  valence: null,
}));
const codeOf = (bytes: Uint8Array) => {
  try {
    readShard(bytes);
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return 'no error';
};

describe('a broken shard', () => {
  it.each([
    ['nothing', new Uint8Array(0)],
    ['text', new TextEncoder().encode('not arrow at all, but long enough to be looked at')],
    ['the first half of one', writeShard(rows, settings).subarray(0, 50_000)],
  ])('of %s is RECORD_INVALID', (_name, bytes) => {
    expect(codeOf(bytes)).toBe('RECORD_INVALID');
  });

  it('is not written with a tile of another size', () => {
    expect(() => writeShard([{ ...(rows[0] as ShardRow), tile: new Uint8Array(3) }], settings)).toThrow(RangeError);
  });
});

describe('a shard', () => {
  it('has the same bytes for the same rows, until the format changes', () => {
    const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);
    expect(digest(writeShard(rows, settings))).toBe(digest(writeShard(rows, settings)));
    expect(digest(writeShard(rows, settings))).toBe('e1d601bec9813e39');
  });

  it('gives back what was written', () => {
    const shard = readShard(writeShard(rows, settings, { silence: 'ends' }));
    expect(shard).toMatchObject({ count: 3, settings, silence: 'ends', settingsHash: settingsHash(settings, 'ends') });
    rows.forEach((row, number) => {
      expect({
        tile: shard.tileAt(number),
        utteranceId: shard.utteranceIdAt(number),
        version: shard.versionAt(number),
        tileIndex: shard.tileIndexAt(number),
        corpus: shard.corpusAt(number),
        speaker: shard.speakerAt(number),
        gender: shard.genderAt(number),
        category: shard.categoryAt(number),
        activation: shard.activationAt(number),
        valence: shard.valenceAt(number),
      }).toEqual(row);
    });
  });

  it('has columns for level edges only if a row has edges', () => {
    const [first, ...others] = rows as [ShardRow, ...ShardRow[]];
    const shard = readShard(writeShard([{ ...first, levelEdges: [2.4, 3.5] }, ...others], settings));
    expect([0, 1, 2].map((row) => shard.levelEdgesAt(row))).toEqual([[2.4, 3.5], null, null]);
    const without = writeShard(rows, settings);
    expect(readShard(without).levelEdgesAt(0)).toBeNull();
    expect(tableFromIPC(without).schema.fields.map(({ name }) => name)).not.toContain('level_edge_low');
  });

  it('keeps the time of each tile, and names no times without any', () => {
    const [first, ...others] = rows as [ShardRow, ...ShardRow[]];
    const shard = readShard(writeShard([{ ...first, time: { startSec: 0.1, endSec: 2.66 } }, ...others], settings));
    expect([0, 1].map((row) => shard.timeAt(row))).toEqual([{ startSec: 0.1, endSec: 2.66 }, null]);
    expect(tableFromIPC(writeShard(rows, settings)).schema.fields.map(({ name }) => name)).not.toContain('start_sec');
  });

  it.each([0, 8, 3])('at byte %i of a buffer gives tiles as views of it, or as a correct copy if it is not aligned', (start) => {
    const bytes = writeShard(rows, settings);
    const shifted = new Uint8Array(bytes.length + start).subarray(start);
    shifted.set(bytes);
    const shard = readShard(shifted);
    expect(shard.tileAt(1).buffer === shifted.buffer).toBe(start % 8 === 0);
    expect(shard.tileAt(2)).toEqual(rows[2]?.tile);
    expect(shard.utteranceIdAt(2)).toBe('emodb/03a01Fa-2');
  });

  it('may be empty', () => {
    const shard = readShard(writeShard([], settings));
    expect(shard.count).toBe(0);
    expect(shard.silence).toBeNull();
  });

  it('is a plain Arrow table with nullable labels', () => {
    const table = tableFromIPC(writeShard(rows, settings));
    expect(table.schema.fields.map((field) => `${field.name} ${String(field.type)}${field.nullable ? '?' : ''}`)).toEqual([
      'tile FixedSizeBinary[32768]',
      'utterance_id Utf8',
      'version Utf8',
      'tile_index Int32',
      'corpus Utf8',
      'speaker Utf8?',
      'gender Utf8?',
      'category Utf8?',
      'activation Float32?',
      'valence Float32?',
    ]);
    expect(table.schema.metadata.get('undertone.hopLength')).toBe('220');
  });
});
