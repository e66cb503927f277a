/** `undertone train`: reads a folder of shards, writes checkpoints and scores, and resumes after a kill. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { featureSettings } from '#audio/feature-settings.js';
import { type ShardRow, writeShard } from '#audio/shard/shard-file.js';
import { packageRoot } from '#service/package-root.js';
import { FolderStore } from '#storage/folder-store.js';
import { newestCheckpoints } from '#rounds/checkpoint-store.js';
import { viewOfShards } from '#index/view-of-shards.js';
import { madeRow, tileSettings } from './made-tiles.js';

const folder = mkdtempSync(join(tmpdir(), 'undertone-train-'));
const shards = join(folder, 'shards');
const config = join(folder, 'run.yaml');
const activationOf = { angry: 4.5, happy: 4, neutral: 2.5, sad: 1.5 };

/** Each utterance has two tiles. The last third of each speaker's utterances has no label. */
function rowsOf(speaker: number): ShardRow[] {
  return Array.from({ length: 24 }, (_, i): ShardRow => {
    const [take, tileIndex] = [Math.floor(i / 2), i % 2];
    const row = { ...madeRow({ corpus: 'made', speaker, take, tileIndex }), version: 'v1' };
    const category = row.category as keyof typeof activationOf;
    return take < 8
      ? { ...row, activation: activationOf[category], valence: category === 'happy' ? 4.5 : 2.5 }
      : { ...row, category: null, activation: null, valence: null };
  });
}

beforeAll(() => {
  mkdirSync(shards);
  for (let speaker = 0; speaker < 6; speaker++) writeFileSync(join(shards, `${speaker}.arrow`), writeShard(rowsOf(speaker), tileSettings));
  writeFileSync(join(shards, 'splits.json'), JSON.stringify({ 'made/s0': 'dev', 'made/s1': 'test' }));
  writeFileSync(
    config,
    [
      'name: tiny',
      'model: { filters: [2, 4], pools: [[2, 4], [2, 2]], dense: 8, headFilters: 2 }',
      'batch: { labelled: 3, unlabelled: 1 }',
      'steps: 12',
      'checkpointEvery: 6',
      'splits: { dev: [made/s2], test: [] }',
    ].join('\n'),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

const words = (out: string, more: string[]) => [
  join(packageRoot, 'dist/apps/cli/src/main.js'),
  'train',
  ...['--config', config, '--shards', shards, '--out', join(folder, out), ...more],
];
const env: NodeJS.ProcessEnv = { ...process.env, TF_BACKEND: 'cpu' };
function train(out: string, ...more: string[]): { code: number | null; text: string } {
  return run(words(out, more));
}
function run(args: string[], environment = env): { code: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { env: environment, encoding: 'utf8' });
  return { code: status, text: stdout + stderr };
}
/** @param changes to the given file, which is `whole`'s config.json */
function repeated(out: string, changes: Record<string, unknown> = {}, environment = env): { code: number | null; text: string } {
  const file = join(folder, `${out}.json`);
  const recorded = JSON.parse(readFileSync(join(folder, 'whole/config.json'), 'utf8')) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...recorded, ...changes }));
  return run(words(out, []).with(3, file), environment);
}
async function newest(out: string) {
  for await (const checkpoint of newestCheckpoints(new FolderStore(join(folder, out)), 'tiny', () => undefined)) return checkpoint;
  return null;
}

it('describes the training data with --dry-run, and trains nothing', async () => {
  const { code, text } = train('dry', '--dry-run');
  expect(code).toBe(0);
  expect(text).toMatch(/72 utterances: \d+ labelled and \d+ unlabelled tiles to learn from; speakers: 3 train, 2 dev, 1 test/);
  expect(await newest('dry')).toBeNull();
});

it('accepts the paper’s example for these shards in a dry run', () => {
  const { code, text } = run(words('paper', ['--dry-run']).with(3, join(packageRoot, 'examples/paper-aae.yaml')));
  expect(text).toMatch(/72 utterances: \d+ labelled and \d+ unlabelled tiles to learn from/);
  expect(code).toBe(0);
});

it('trains and scores held-out speakers; 6 steps, a kill and 6 more equal 12 steps bit for bit', async () => {
  const whole = train('whole');
  expect(whole).toMatchObject({ code: 0, text: expect.stringContaining('step 12 of 12') });
  expect(whole.text).toMatch(/emotion +dev +16 /);
  const evaluations = JSON.parse(readFileSync(join(folder, 'whole/evaluations.json'), 'utf8')) as {
    task: string;
    split: string;
    n: number;
  }[];
  expect(evaluations.find(({ task, split }) => task === 'emotion' && split === 'test')?.n).toBe(8);
  expect(JSON.parse(readFileSync(join(folder, 'whole/config.json'), 'utf8'))).toMatchObject({
    name: 'tiny',
    model: { alpha: 0.4, tile: [16, 32], seed: 1 },
    seed: 1,
    splits: { train: ['made/s3', 'made/s4', 'made/s5'], dev: ['made/s0', 'made/s2'], test: ['made/s1'] },
    backend: 'cpu',
  });

  const running = spawn(process.execPath, words('killed', []), { env, stdio: 'ignore' });
  await expect.poll(async () => (await newest('killed'))?.step ?? 0, { timeout: 60_000, interval: 20 }).toBe(6);
  running.kill('SIGKILL');
  await once(running, 'exit');
  const before = await newest('killed');
  expect(before).toMatchObject({ step: 6, complete: false });
  expect(train('killed')).toMatchObject({ code: 2, text: expect.stringContaining('Add --resume to continue it') });
  expect(train('killed', '--resume')).toMatchObject({ code: 0, text: expect.stringContaining('step 6 to 12') });
  // On the plain backend, bit for bit.
  const [killed, unbroken] = [await newest('killed'), await newest('whole')];
  expect(killed?.weights.sha256).toBe(unbroken?.weights.sha256);
  // This includes Adam's step counts and the generator's state.
  expect(killed).toMatchObject({ step: 12, complete: true, model: unbroken?.model, sampler: unbroken?.sampler });
}, 180_000);

it('repeats a run from its config.json and shards on the same backend, and refuses other shards, backends or tiles', async () => {
  const hints = join(shards, 'splits.json');
  const splits = readFileSync(hints, 'utf8');
  rmSync(hints);
  const { TF_BACKEND: _asked, ...unasked } = env;
  expect(repeated('again', {}, unasked)).toMatchObject({ code: 0, text: expect.stringContaining('step 0 to 12 on cpu') });
  expect((await newest('again'))?.weights.sha256).toBe((await newest('whole'))?.weights.sha256);
  writeFileSync(hints, splits);

  const refused = (text: string) => ({ code: 2, text: expect.stringContaining(text) });
  expect(repeated('other', { viewDigest: 'a'.repeat(64) })).toMatchObject(refused('The shards are not those'));
  expect(repeated('other', { settingsHash: 'b' })).toMatchObject(refused('The shards are not those'));
  expect(repeated('other', { backend: 'wasm' })).toMatchObject(refused('Unset TF_BACKEND'));
  expect(repeated('other', { model: { tile: [16, 64] } })).toMatchObject(refused("the shards' tiles are 16 x 32"));
  expect(repeated('older', { codeVersion: '0.0.0', steps: 1 }).text).toContain('version 0.0.0 wrote');
}, 180_000);

it('gives other weights for another seed, unless the model has its own seed', async () => {
  const weightsOf = async (out: string, changes: Record<string, unknown>) => {
    expect(repeated(out, { steps: 1, ...changes }).code).toBe(0);
    return (await newest(out))?.model['randomState'];
  };
  const model = (await newest('whole'))?.model['settings'] as Record<string, unknown>;
  const { seed: _own, ...unseeded } = model;
  const first = await weightsOf('seed-1', { model: unseeded });
  expect(await weightsOf('seed-2', { model: unseeded, seed: 2 })).not.toEqual(first);
  expect(await weightsOf('own-seed', { model, seed: 2 })).toEqual(first);
}, 60_000);

it('exports a trained model for a browser, for onnxruntime and as weights, and exports latents', () => {
  const undertone = (...more: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [words('', [])[0] as string, ...more], { env, encoding: 'utf8' });
    return { code: status, text: stdout + stderr };
  };
  const from = join(folder, 'whole');
  for (const [format, files] of Object.entries({
    onnx: ['about.json', 'model.onnx'],
    'tfjs-layers': ['about.json', 'model.json', 'weights.bin'],
    safetensors: ['about.json', 'manifest.json', 'model.safetensors'],
  })) {
    const out = join(folder, `model-${format}`);
    expect(undertone('export-model', '--format', format, '--from', from, '--out', out)).toMatchObject({ code: 0 });
    expect(readdirSync(out).sort()).toEqual(files);
    expect(JSON.parse(readFileSync(join(out, 'about.json'), 'utf8'))).toMatchObject({
      run: 'tiny',
      step: 12,
      classes: { emotion: ['angry', 'happy', 'neutral', 'sad'], speaker: ['made/s3', 'made/s4', 'made/s5'] },
    });
  }
  expect(undertone('export-model', '--from', from, '--out', from)).toMatchObject({
    code: 2,
    text: expect.stringContaining('exists already'),
  });
  expect(undertone('export-model', '--from', shards, '--out', join(folder, 'none'))).toMatchObject({
    code: 2,
    text: expect.stringContaining('holds no model'),
  });

  const latents = join(folder, 'latents');
  expect(undertone('export-latents', '--shards', shards, '--from', from, '--out', latents)).toMatchObject({ code: 0 });
  const array = readFileSync(join(latents, 'latents.npy'));
  expect(array.toString('latin1', 10, 90)).toContain("{'descr': '<f4', 'fortran_order': False, 'shape': (72, 4, 4, 4), }");
  expect(array.length).toBe(128 + 72 * 4 * 4 * 4 * 4);
  expect(readFileSync(join(latents, 'latents.csv'), 'utf8').split('\n')).toHaveLength(74);
}, 60_000);

it('writes a model card that marks synthetic voices', () => {
  const asked = [words('', [])[0] as string, 'model-card', '--from', join(folder, 'whole'), '--synthetic', 'made'];
  const { status, stdout, stderr } = spawnSync(process.execPath, asked, { env, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  expect(stdout).toContain('# Model card: tiny/12');
  expect(stdout).toContain('> **Synthetic voices (made): the scores below are no evidence about real emotion.**');
  expect(stdout).toMatch(/\| Categorical emotion \| dev \| \d+ \| \d+ \| [\d.]+ \| [\d.]+ \|/);
}, 60_000);

it('trains on clusters of activation and valence, keeps their midpoints, and scores them', async () => {
  const paper = readFileSync(config, 'utf8');
  writeFileSync(config, paper.replace('model: {', 'model: { system: cnn, target: clusters-3, classBalance: sampling,'));
  const { code, text } = train('clusters');
  writeFileSync(config, paper);
  expect(code).toBe(0);
  expect(text).toMatch(/clusters-3 +dev +16 /);
  // Sad and neutral are nearest to each other.
  expect((await newest('clusters'))?.midpoints).toEqual([
    { activation: 2, valence: 2.5 },
    { activation: 4.5, valence: 2.5 },
    { activation: 4, valence: 4.5 },
  ]);
}, 60_000);

it('saves on Ctrl-C, reports it, and continues with --resume', async () => {
  const running = spawn(process.execPath, words('stopped', []), { env });
  let text = '';
  running.stdout.on('data', (piece: Buffer) => (text += piece.toString()));
  await expect.poll(() => text, { timeout: 60_000, interval: 20 }).toContain('step 0 to 12');
  running.kill('SIGINT');
  expect((await once(running, 'exit'))[0]).toBe(1);
  const [, step = ''] = /Stopped at step (\d+)\. Add --resume to continue\./.exec(text) ?? [];
  expect((await newest('stopped'))?.step).toBe(Number(step));
  expect(train('stopped', '--resume').code).toBe(0);
  expect((await newest('stopped'))?.weights.sha256).toBe((await newest('whole'))?.weights.sha256);

  // Another seed is another run, which must not mix with this one.
  const content = readFileSync(config, 'utf8');
  writeFileSync(
    config,
    `${content}\nseed: 9\nbatch: { labelled: 5, unlabelled: 2 }`.replace('batch: { labelled: 3, unlabelled: 1 }\n', ''),
  );
  expect(train('stopped', '--resume')).toMatchObject({
    code: 2,
    text: expect.stringContaining('began with another model and another batch and another seed'),
  });
  writeFileSync(config, content);
}, 180_000);

it('refuses invalid options, and says what to do', () => {
  writeFileSync(join(folder, 'bad.yaml'), 'name: x\nsteps: many\n');
  const bad = spawnSync(process.execPath, [...words('bad', []).slice(0, 2), '--config', join(folder, 'bad.yaml'), '--shards', shards], {
    encoding: 'utf8',
  });
  expect([bad.status, bad.stderr]).toEqual([2, expect.stringContaining('steps: ')]);
  const empty = spawnSync(process.execPath, [...words('bad', []).slice(0, 4), '--shards', folder.replace(/$/, '/none')], {
    encoding: 'utf8',
  });
  expect([empty.status, empty.stderr]).toEqual([2, expect.stringContaining('is not a folder')]);
});

it('lets a later file override an utterance, and refuses mixed settings', () => {
  const other = mkdtempSync(join(tmpdir(), 'undertone-shards-'));
  const [first, second] = rowsOf(0) as [ShardRow, ShardRow];
  writeFileSync(join(other, 'a.arrow'), writeShard([first, second], tileSettings));
  writeFileSync(join(other, 'b.arrow'), writeShard([{ ...first, version: 'v2', category: 'sad' }], tileSettings));
  const view = viewOfShards(other);
  expect(view.utterances).toMatchObject([{ version: 'v2', tileCount: 1, labels: { category: 'sad' } }]);
  writeFileSync(join(other, 'c.arrow'), writeShard([first], featureSettings({ rows: 16, width: 32, floorDb: -60 })));
  expect(() => viewOfShards(other)).toThrow(/other feature settings/);
  rmSync(other, { recursive: true });
});
