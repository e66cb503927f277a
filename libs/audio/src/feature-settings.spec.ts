import { describe, expect, it } from 'vitest';
import { canonicalJson, defaultFeatureSettings, featureSettings, settingsHash, type FeatureSettings } from './feature-settings.js';

describe('feature settings', () => {
  it.each([
    { scale: 'bark' },
    { rows: 512, scale: 'mel' },
    { reference: 'loudest' },
    { layout: 'mosaic' },
    { fftSize: 1000 },
    { winLength: 2048 },
    { rows: 100 },
    { hopLength: 0 },
    { hopLength: 2.5 },
    { floorDb: 0 },
    { bandLimitHz: 0 },
    { maxDurationSec: Number.NaN },
  ])('with %j are SETTINGS_INVALID and named', (change) => {
    const name = Object.keys(change)[0] as string;
    expect(() => featureSettings(change as Partial<FeatureSettings>)).toThrow(
      expect.objectContaining({ code: 'SETTINGS_INVALID', context: { setting: name } }),
    );
  });

  it('have the same digest in any order, and another digest after any change', () => {
    const reversed = Object.fromEntries(Object.entries(defaultFeatureSettings).reverse()) as unknown as FeatureSettings;
    const digest = settingsHash(defaultFeatureSettings, 'none');
    expect(digest).toMatch(/^[0-9a-f]{16}$/);
    expect(settingsHash(reversed, 'none')).toBe(digest);
    expect(settingsHash(defaultFeatureSettings, 'ends')).not.toBe(digest);
    expect(settingsHash(featureSettings({ bandLimitHz: null }), 'none')).not.toBe(digest);
    expect(settingsHash(featureSettings({ decoders: { ...defaultFeatureSettings.decoders, other: 'ffmpeg 5.1' } }), 'none')).not.toBe(
      digest,
    );
  });

  it('as canonical JSON have sorted keys at every depth', () => {
    expect(canonicalJson({ b: [{ d: 1, c: null }], a: 'x' })).toBe('{"a":"x","b":[{"c":null,"d":1}]}');
  });
});
