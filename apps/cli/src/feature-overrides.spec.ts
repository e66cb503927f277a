import { describe, expect, it } from 'vitest';
import { applyChange, parseOverride, parseOverrideName } from './feature-overrides.js';

describe('--set', () => {
  it.each([
    ['bandLimitHz=4000', { bandLimitHz: 4000 }],
    ['bandLimitHz=none', { bandLimitHz: null }],
    ['layout=centre', { layout: 'centre' }],
    ['width=128', { width: 128 }],
  ])('reads %s', (pair, overrides) => {
    expect(parseOverride(pair)).toEqual(overrides);
  });

  it.each(['bandLimitHz', 'bandLimitHz=', 'bandLimitHz=low', 'layout=none', 'layout=mel', 'width=1.5', 'decoders=x', 'silenceTopDb=-1'])(
    'refuses %s',
    (pair) => {
      expect(() => parseOverride(pair)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    },
  );
});

describe('a change', () => {
  it('keeps the settings that it does not name, and removes all with --default', () => {
    const before = { bandLimitHz: 4000, layout: 'centre' } as const;
    expect(applyChange(before, { set: { bandLimitHz: null }, unset: [], toDefault: false })).toEqual({
      bandLimitHz: null,
      layout: 'centre',
    });
    expect(applyChange(before, { set: {}, unset: ['layout'], toDefault: false })).toEqual({ bandLimitHz: 4000 });
    expect(applyChange(before, { set: {}, unset: [], toDefault: true })).toEqual({});
  });

  it('refuses a setting that a corpus may not choose', () => {
    expect(() => parseOverrideName('sampleRateHz')).toThrow(/bandLimitHz/);
  });
});
