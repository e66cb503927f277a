/** Objects in `state/feature-settings/` that nobody should put there: each gives settings that work, or an error that says why not, soon. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { featureOverridesSchema, featureOverrideNames } from '#contracts/feature-settings.js';
import { defaultFeatureSettings, tileSizeBytes } from './feature-settings.js';
import { parseOverrides, settledWith } from './settings-by-corpus.js';

const seed = 20_261_130;
const bytesOf = (json: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(json));

/** A tile is made of each second of sound: more than this, and the memory for audio is nobody's to lend. */
const largestTileBytes = 16 * 1024 * 1024;

/** Fails on anything but settings within limits, or a code. @returns whether they are settings */
function settlesOrRefuses(bytes: Uint8Array): boolean {
  try {
    const { settings } = settledWith(defaultFeatureSettings, parseOverrides(bytes));
    expect(tileSizeBytes(settings)).toBeLessThanOrEqual(largestTileBytes);
    return true;
  } catch (error) {
    if ((error as Error).name !== 'PipelineError') throw error;
    expect((error as { code: string }).code).toMatch(/^(CONFIG|SETTINGS)_INVALID$/);
    return false;
  }
}

const number = fc.oneof(
  fc.constantFrom(0, -1, 1, 64, 128, 256, 512, 513, 65_536, 1e6, 2 ** 31, 2 ** 32, 2 ** 53, 1e300, 0.5),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const word = fc.constantFrom(
  'tiles',
  'centre',
  'linear',
  'mel',
  'utterance',
  'full-scale',
  'energy',
  'silero',
  'constructor',
  '__proto__',
  '',
);
const overrides = fc.dictionary(
  fc.constantFrom(...featureOverrideNames, '__proto__', 'constructor', 'fftSize'),
  fc.oneof(number, word, fc.jsonValue()),
);

it('any values under the names that overrides have', () => {
  fc.assert(
    fc.property(overrides, (json) => void settlesOrRefuses(bytesOf(json))),
    { numRuns: 3_000, seed },
  );
});

it('values of the right type and any size', () => {
  const positive = fc.oneof(fc.constantFrom(1, 128, 512, 4_096, 65_536, 1e6, 2 ** 31, 2 ** 53 - 1), fc.integer({ min: 1 }));
  const sized = fc.record(
    { rows: positive, width: positive, scale: fc.constantFrom('linear', 'mel'), maxDurationSec: positive, bandLimitHz: positive },
    { requiredKeys: [] },
  );
  let settled = 0;
  const property = fc.property(sized, (json) => {
    featureOverridesSchema.parse(json);
    if (settlesOrRefuses(bytesOf(json))) settled++;
  });
  fc.assert(property, { numRuns: 3_000, seed });
  expect(settled).toBeGreaterThan(0);
});

it('any JSON, any bytes, and brackets 200,000 deep', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (json) => void settlesOrRefuses(bytesOf(json))),
    { numRuns: 1_000, seed },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void settlesOrRefuses(bytes)),
    { numRuns: 1_000, seed },
  );
  expect(settlesOrRefuses(Buffer.from(`${'['.repeat(200_000)}${']'.repeat(200_000)}`))).toBe(false);
  expect(settlesOrRefuses(Buffer.from(`{"rows":${'['.repeat(200_000)}${']'.repeat(200_000)}}`))).toBe(false);
});
