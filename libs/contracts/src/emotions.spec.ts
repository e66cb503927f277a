import { describe, expect, it } from 'vitest';
import { type UtteranceScored, utteranceScoredSchema } from './emotions.js';

const fact: UtteranceScored = {
  utteranceId: 'calls/a.wav',
  version: '0123456789abcdef',
  model: { runId: 'main', step: 20, target: 'emotion', champion: 1 },
  settingsHash: '0123456789abcdef',
  classes: { emotion: ['angry', 'sad'] },
  probabilities: { emotion: { angry: 0.75, sad: 0.25 } },
  entropy: 0.811,
  tiles: [{ startSec: 0, endSec: 2.56, probabilities: { emotion: [0.75, 0.25] } }],
  scoredAt: '2026-11-30T21:00:00Z',
};
const accepts = (changes: object): boolean => utteranceScoredSchema.safeParse({ ...fact, ...changes }).success;

describe('a score', () => {
  it('gives a probability to each class of each tile', () => {
    expect(accepts({})).toBe(true);
    expect(accepts({ tiles: [{ startSec: 0, endSec: 2.56, probabilities: { emotion: [1] } }] })).toBe(false);
    expect(accepts({ tiles: [{ startSec: 0, endSec: 2.56, probabilities: {} }] })).toBe(false);
  });

  it('answers the target of its model', () => {
    expect(accepts({ model: { ...fact.model, target: 'valence' } })).toBe(false);
  });

  it('never names a speaker', () => {
    expect(accepts({ probabilities: { ...fact.probabilities, speaker: { anna: 1 } } })).toBe(false);
  });
});
