import { describe, expect, it } from 'vitest';
import type { Labels } from './labels.js';
import { utteranceVersion, type UtteranceIngested } from './utterances.js';

const labels: Labels = {
  speakerId: 'acted/f01',
  gender: 'female',
  category: 'angry',
  activation: 4.3,
  valence: 2.3,
  session: '1',
  levelEdges: [2.5, 3.5],
};
const utterance: Omit<UtteranceIngested, 'version'> = {
  utteranceId: 'acted/f01-angry-01.flac',
  corpus: 'acted',
  objectKey: 'corpora/acted/f01-angry-01.flac',
  etag: 'd41d8cd98f00b204e9800998ecf8427e',
  sizeBytes: 44_120,
  labels,
  split: 'train',
  withheld: false,
  silence: 'none',
  ingestedAt: '2026-11-22T09:14:07.332Z',
};
const version = utteranceVersion(utterance);
const otherLabels: Required<Labels> = {
  speakerId: 'acted/f02',
  gender: 'male',
  category: 'sad',
  activation: 4.4,
  valence: 2.4,
  session: '2',
  levelEdges: [2.4, 3.5],
};
const labelFields = Object.keys(otherLabels) as (keyof Labels)[];

describe('the version of an utterance', () => {
  it('is 16 hex digits', () => {
    expect(version).toMatch(/^[0-9a-f]{16}$/);
  });

  it.each([{ etag: 'e' }, { sizeBytes: 44_121 }, { split: 'dev' }, { withheld: true }, { silence: 'ends' }] as const)(
    'changes with %o',
    (change) => {
      expect(utteranceVersion({ ...utterance, ...change })).not.toBe(version);
    },
  );

  it.each(labelFields)('changes when the label %s changes or is removed', (field) => {
    const changed = utteranceVersion({ ...utterance, labels: { ...labels, [field]: otherLabels[field] } });
    const { [field]: _gone, ...fewer } = labels;
    const without = utteranceVersion({ ...utterance, labels: fewer });
    expect(new Set([version, changed, without]).size).toBe(3);
  });

  it.each(labelFields)('is the same for an undefined and an absent %s', (field) => {
    const { [field]: _gone, ...fewer } = labels;
    expect(utteranceVersion({ ...utterance, labels: { ...labels, [field]: undefined } })).toBe(
      utteranceVersion({ ...utterance, labels: fewer }),
    );
  });

  it('does not depend on the time or key of ingestion', () => {
    const elsewhere = { ...utterance, utteranceId: 'b/x', corpus: 'b', objectKey: 'corpora/b/x', ingestedAt: '2027-01-01T00:00:00Z' };
    expect(utteranceVersion(elsewhere)).toBe(version);
  });

  it('does not depend on the order of the labels', () => {
    const reversed = Object.fromEntries(Object.entries(labels).reverse()) as Labels;
    expect(utteranceVersion({ ...utterance, labels: reversed })).toBe(version);
  });

  it('differs when a value moves to the next field', () => {
    const activation = utteranceVersion({ ...utterance, labels: { activation: 3 } });
    const valence = utteranceVersion({ ...utterance, labels: { valence: 3 } });
    const session = utteranceVersion({ ...utterance, labels: { session: '3' } });
    expect(new Set([activation, valence, session]).size).toBe(3);
  });
});
