import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stackPreset } from './stack-preset.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'undertone-preset-'))));
afterEach(() => rmSync(folder, { recursive: true }));

test('a new stack begins with the recommended values and keeps them', () => {
  const dataDir = join(folder, 'up');
  expect(stackPreset(dataDir, undefined)).toBe('recommended');
  mkdirSync(join(dataDir, 'kafka'));
  expect(stackPreset(dataDir, undefined)).toBe('recommended');
});

test("a stack with data from before there were presets keeps the paper's values", () => {
  mkdirSync(join(folder, 'kafka'));
  expect([stackPreset(folder, undefined), stackPreset(folder, '')]).toEqual(['paper', 'paper']);
});

test('the operator changes the preset, and it stays changed', () => {
  mkdirSync(join(folder, 'kafka'));
  expect(stackPreset(folder, 'recommended')).toBe('recommended');
  expect(stackPreset(folder, undefined)).toBe('recommended');
});

test('a preset that does not exist is refused by name', () => {
  expect(() => stackPreset(folder, 'best')).toThrow(/PRESET is best\. Expected one of: paper, recommended/);
});
