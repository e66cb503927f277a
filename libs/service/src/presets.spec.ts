import { expect, test } from 'vitest';
import { presetValues, withPreset } from './presets.js';

test('without PRESET the environment stays as it is', () => {
  expect(withPreset({ ROUND_STEPS: '7' })).toEqual({ ROUND_STEPS: '7' });
});

test("a preset fills in what is unset or empty, and the operator's values win", () => {
  const read = withPreset({ PRESET: 'recommended', ROUND_STEPS: '7', TILE_ROWS: '' });
  expect(read).toEqual({ ...presetValues.recommended, PRESET: 'recommended', ROUND_STEPS: '7' });
  expect(read['TILE_ROWS']).toBe('64');
});

test('a preset that does not exist is refused by name', () => {
  expect(() => withPreset({ PRESET: 'best' })).toThrow(/PRESET/);
});
