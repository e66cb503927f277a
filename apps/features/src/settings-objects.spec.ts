import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultFeatureSettings } from '#audio/feature-settings.js';
import { featureSettingsKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { FolderStore } from '#storage/folder-store.js';
import { SettingsObjects } from './settings-objects.js';

let folder: string;
let store: FolderStore;
let complaints: PipelineError[];
let objects: SettingsObjects;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-settings-'));
  store = new FolderStore(folder);
  complaints = [];
  objects = new SettingsObjects({
    store,
    base: defaultFeatureSettings,
    check: ({ silenceMethod }) =>
      silenceMethod === 'silero' ? Promise.reject(new PipelineError('PREREQUISITE_MISSING', 'There is no silero')) : Promise.resolve(),
    onInvalid: (error) => complaints.push(error),
  });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const put = (corpus: string, overrides: unknown) => store.put(featureSettingsKey(corpus), JSON.stringify(overrides));
const layouts = async () =>
  Object.fromEntries([...(await objects.read()).corpora].map(([corpus, { settings }]) => [corpus, settings.layout]));

describe('the objects of feature settings', () => {
  it('give a corpus other settings until they are deleted', async () => {
    expect(await layouts()).toEqual({});
    await put('c', { layout: 'centre' });
    await put('d', {});
    expect(await layouts()).toEqual({ c: 'centre', d: 'tiles' });
    await store.delete(featureSettingsKey('c'));
    expect(await layouts()).toEqual({ d: 'tiles' });
  });

  it.each([
    ['that no corpus may set', { sampleRateHz: 8_000 }, 'sampleRateHz'],
    ['of the wrong kind', { bandLimitHz: 'low' }, 'bandLimitHz'],
    ['that cannot work', { rows: 100 }, 'rows'],
    ['that this machine cannot do', { silenceMethod: 'silero' }, 'silero'],
  ])('with a setting %s change nothing, and are reported once', async (_what, overrides, named) => {
    await put('c', { layout: 'centre' });
    await layouts();
    await put('c', overrides);
    await put('new', overrides);
    expect(await layouts()).toEqual({ c: 'centre' });
    expect(await layouts()).toEqual({ c: 'centre' });
    expect(complaints.map(({ code }) => code)).toEqual(['CONFIG_INVALID', 'CONFIG_INVALID']);
    for (const { message } of complaints) expect(message).toContain(named);
    await put('c', { layout: 'tiles', bandLimitHz: null });
    expect(await layouts()).toEqual({ c: 'tiles' });
  });

  it('that are not JSON leave the corpus its previous settings', async () => {
    await store.put(featureSettingsKey('c'), '{');
    expect(await layouts()).toEqual({});
    expect(complaints[0]?.message).toContain('is not JSON');
  });
});
