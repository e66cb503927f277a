import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Split } from '#contracts/labels.js';
import { featureSettings } from '#audio/feature-settings.js';
import { viewOf, type ViewUtterance } from '#index/training-index.js';
import type { FolderView } from '#index/view-of-shards.js';
import { readTrainConfig, resolveConfig, splitsOf } from './train-config.js';

const folder = mkdtempSync(join(tmpdir(), 'undertone-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'run.yaml');
function read(content: unknown) {
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return readTrainConfig(file);
}

const utterance = (speakerId: string, split: Split): ViewUtterance => ({
  utteranceId: `${speakerId}-1`,
  version: 'v',
  objectKey: 'c/a',
  stream: 'labelled',
  labels: { speakerId },
  split,
  withheld: false,
  shardId: 's',
  shardObjectKey: 's',
  firstRow: 0,
  tileCount: 1,
});
const view: FolderView = {
  ...viewOf('hash', [utterance('c/a', 'train'), utterance('c/b', 'test')]),
  tileShape: [64, 128],
  features: featureSettings({ rows: 64, width: 128 }),
};

describe('the configuration of a run', () => {
  it('may have no unlabelled tiles in a batch, but must have labelled ones', () => {
    expect(read('name: x\nbatch: { unlabelled: 0 }').batch).toEqual({ labelled: 16, unlabelled: 0 });
    expect(() => read('name: x\nbatch: { labelled: 0 }')).toThrow(/batch\.labelled/);
  });

  it('takes the tile and the splits from the shards, and uses one seed for everything', () => {
    const { model, splits, viewDigest, settingsHash } = resolveConfig(read('name: x\nseed: 7'), view);
    expect(model).toMatchObject({ tile: [64, 128], seed: 7 });
    expect(resolveConfig(read('name: x\nseed: 7\nmodel: { seed: 3 }'), view).model.seed).toBe(3);
    expect(splits).toEqual({ train: ['c/a'], dev: [], test: ['c/b'] });
    expect({ viewDigest, settingsHash }).toEqual({ viewDigest: view.digest, settingsHash: 'hash' });
  });

  it('can be read again from the record of a run, with the same meaning', () => {
    const resolved = resolveConfig(read('name: x'), view);
    const again = read({ ...resolved, backend: 'cpu', codeVersion: '0.1.0' });
    expect(again).toMatchObject({ backend: 'cpu', codeVersion: '0.1.0' });
    expect(resolveConfig(again, view)).toEqual(resolved);
    expect(splitsOf(again)).toEqual(new Map(Object.entries({ 'c/a': 'train', 'c/b': 'test' })));
  });

  it('is refused for other shards than it names, and for tiles of another size', () => {
    const refused = (content: Record<string, unknown>, message: RegExp) =>
      expect(() => resolveConfig(read({ name: 'x', ...content }), view)).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
      );
    refused({ viewDigest: 'other' }, /viewDigest other.*Give those, or delete viewDigest/);
    refused({ settingsHash: 'other' }, /settingsHash other/);
    refused({ model: { tile: [128, 256] } }, /model\.tile is 128 x 256 and the shards' tiles are 64 x 128/);
  });

  it('is refused for an unknown backend or setting', () => {
    expect(() => read('name: x\nbackend: cuda')).toThrow(/backend/);
    expect(() => read('name: x\nspeed: 1')).toThrow(/speed/);
  });
});
