/** `undertone export` of a real bucket: the files hold exactly the live tiles, pixel by pixel. */
import { spawnSync } from 'node:child_process';
import { createReadStream, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { extract } from 'tar-stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { extractFeatures } from '#audio/extract-features.js';
import { featureSettings } from '#audio/feature-settings.js';
import { corpusKey } from '#contracts/object-keys.js';
import { packageRoot } from '#service/package-root.js';
import { toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

const pipeline = new RunningPipeline();
const folder = mkdtempSync(join(tmpdir(), 'undertone-export-'));
const tileBytes = 128 * 256;
const voices: Record<string, Uint8Array> = {
  'a, "b".wav': toneWav({ pitchHz: 120 }),
  'c.wav': toneWav({ pitchHz: 150, durationSec: 5.2 }),
  'd.wav': toneWav({ pitchHz: 180 }),
};

beforeAll(async () => {
  await pipeline.prepare();
  const { store, overview } = pipeline;
  await store.put(
    corpusKey('made', 'manifest.csv'),
    'path,speaker,gender,emotion,activation,valence,split\n"a, ""b"".wav",s1,female,sad,2.5,1,train\nc.wav,s2,male,,,,test\ngone.wav,s1,female,happy,,,train\n',
  );
  for (const [path, wav] of Object.entries({ ...voices, 'gone.wav': toneWav({}), 'd.wav': toneWav({ pitchHz: 90 }) }))
    await store.put(corpusKey('made', path), wav);
  pipeline.start('ingest', 'features');
  await pipeline.until('all in shards', () => overview.reconcile().inShards === 4);
  // The tiles of these are in shards, but no longer live.
  await store.delete(corpusKey('made', 'gone.wav'));
  await store.put(corpusKey('made', 'd.wav'), voices['d.wav'] as Uint8Array);
  const before = overview.snapshot().streams.unlabelled.shards;
  await pipeline.until('the changes', () => overview.reconcile().inShards === 3 && overview.snapshot().streams.unlabelled.shards > before);
});

afterAll(async () => {
  await pipeline.close();
  rmSync(folder, { recursive: true });
});

function run(...words: string[]): { code: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(packageRoot, 'dist/apps/cli/src/main.js'), 'export', ...words], {
    env: pipeline.environment,
    encoding: 'utf8',
  });
  return { code: status, text: stdout + stderr };
}

/** [tiles, rows, width] of a recording, made here. */
const tilesOf = async (path: string) =>
  (await extractFeatures(voices[path] as Uint8Array, featureSettings(), { silence: 'none', ffmpeg: null })).tiles;

it('writes one array as npy, and a table with a row for each tile', async () => {
  const out = join(folder, 'npy');
  expect(run('--format', 'npy', '--out', out)).toMatchObject({ code: 0, text: expect.stringContaining('4 tiles of 3 utterances') });
  const array = readFileSync(join(out, 'tiles.npy'));
  expect(array.toString('latin1', 1, 6)).toBe('NUMPY');
  const headerBytes = 10 + array.readUInt16LE(8);
  expect(array.toString('latin1', 10, headerBytes)).toMatch(
    /^\{'descr': '\|u1', 'fortran_order': False, 'shape': \(4, 128, 256\), \} *\n$/,
  );
  const [columns = '', ...rows] = readFileSync(join(out, 'tiles.csv'), 'utf8').trimEnd().split('\n');
  expect(columns).toBe('utterance_id,version,tile_index,corpus,stream,split,withheld,speaker,gender,category,activation,valence');
  expect(rows).toHaveLength(4);
  const labelled = rows.findIndex((row) => row.startsWith('"made/a, ""b"".wav",'));
  expect(rows[labelled]).toMatch(/,0,made,labelled,train,false,made\/s1,female,sad,2\.5,1$/);
  for (const [path, start] of [
    ['a, "b".wav', '"made/a,'],
    ['c.wav', 'made/c.wav,'],
    ['d.wav', 'made/d.wav,'],
  ] as const) {
    const places = rows.flatMap((row, place) => (row.startsWith(start) ? [place] : []));
    const pixels = Buffer.concat(
      places.map((place) => array.subarray(headerBytes + place * tileBytes, headerBytes + (place + 1) * tileBytes)),
    );
    expect(pixels.equals(await tilesOf(path))).toBe(true);
  }
  expect(JSON.parse(readFileSync(join(out, 'export.json'), 'utf8'))).toMatchObject({ format: 'npy', tiles: 4, settings: { rows: 128 } });
});

it('writes tar files of pairs as webdataset, the same each time', async () => {
  const [out, again] = [join(folder, 'wds'), join(folder, 'again')];
  expect(run('--out', out, '--tiles-per-file', '3').code).toBe(0);
  expect(run('--out', again, '--tiles-per-file', '3').code).toBe(0);
  const names = readdirSync(out)
    .filter((name) => name.endsWith('.tar'))
    .sort();
  expect(names).toEqual(['tiles-000000.tar', 'tiles-000001.tar']);
  for (const name of names) expect(readFileSync(join(again, name)).equals(readFileSync(join(out, name)))).toBe(true);

  const found = new Map<string, Buffer[]>();
  const order: string[] = [];
  for (const name of names) {
    const entries = createReadStream(join(out, name)).pipe(extract());
    let pixels = Buffer.alloc(0);
    for await (const entry of entries) {
      order.push(entry.header.name);
      const bytes = await buffer(entry);
      if (entry.header.name.endsWith('.npy')) pixels = bytes.subarray(-tileBytes);
      else {
        const { utterance_id: id, tile_index: index } = JSON.parse(bytes.toString()) as { utterance_id: string; tile_index: number };
        const tiles = found.get(id) ?? [];
        tiles[index] = pixels;
        found.set(id, tiles);
      }
    }
  }
  expect(order).toEqual([0, 1, 2, 3].flatMap((tile) => [`00000000${tile}.npy`, `00000000${tile}.json`]));
  expect([...found.keys()].sort()).toEqual(
    Object.keys(voices)
      .map((path) => `made/${path}`)
      .sort(),
  );
  for (const path of Object.keys(voices)) expect(Buffer.concat(found.get(`made/${path}`) ?? []).equals(await tilesOf(path))).toBe(true);
});

it('selects one stream, split or corpus, and reports an empty selection', () => {
  expect(run('--stream', 'labelled', '--out', join(folder, 'l')).text).toContain('1 tile of 1 utterance');
  expect(run('--split', 'test', '--out', join(folder, 't')).text).toContain('2 tiles of 1 utterance');
  const nothing = run('--corpus', 'other', '--out', join(folder, 'o'));
  expect(nothing).toMatchObject({ code: 2, text: expect.stringContaining('nothing to export') });
  expect(existsSync(join(folder, 'o'))).toBe(false);
  expect(run('--out', join(folder, 'l'))).toMatchObject({ code: 2, text: expect.stringContaining('exists already') });
  expect(run('--format', 'tfrecord', '--out', 'x')).toMatchObject({ code: 2, text: expect.stringContaining('webdataset, npy') });
});

it('fails if a shard is gone, and leaves no folder that looks complete', async () => {
  for await (const { key } of pipeline.store.list('shards/')) await pipeline.store.delete(key);
  const out = join(folder, 'gone');
  expect(run('--out', out)).toMatchObject({ code: 1, text: expect.stringContaining('OBJECT_GONE') });
  expect(existsSync(out)).toBe(false);
});
