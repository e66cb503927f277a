import { expect, it } from 'vitest';
import type { CorpusReader } from '#corpora/corpus-reader.js';
import { manifestReader } from '#corpora/manifest-reader.js';
import { mspImprovReader } from '#corpora/msp-improv-reader.js';
import { Takes } from '#corpora/takes.js';
import { describeObject } from './describe-object.js';

const line = 'UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:2.400000; V:2.600000; D:3.200000; N:3.400000;';
const path = 'MSP-IMPROV-S01A-F01-P-FM01.wav';
function recordIn(name: string, reader: CorpusReader, files: Record<string, string>) {
  const annotations = { ...reader.read(new Map(Object.entries(files))), warnings: [] };
  const corpus = { name, reader, options: {}, silence: reader.silence, annotations, splits: new Map(), takes: new Takes(reader) };
  return describeObject(corpus, { key: `corpora/${name}/${path}`, etag: 'e', sizeBytes: 1 }, path).record;
}

it('carries the level edges of its reader, not of its corpus’s name, and has another version by them', () => {
  const files = { 'Evalution.txt': line };
  const other = recordIn('improv', mspImprovReader, files);
  expect(other.labels.levelEdges).toEqual([2.5, 3.5]);
  const { levelEdges: _gone, ...labels } = other.labels;
  expect(recordIn('msp-improv', mspImprovReader, files).labels).not.toHaveProperty('levelEdges');
  const bySilentReader = recordIn('improv', { ...mspImprovReader, levels: undefined }, files);
  expect(bySilentReader.labels).toEqual(labels);
  expect(bySilentReader.version).not.toBe(other.version);
});

it('carries no level edges without activation and valence, or with the manifest reader', () => {
  expect(recordIn('improv', mspImprovReader, {}).labels).not.toHaveProperty('levelEdges');
  expect(recordIn('improv', manifestReader, { 'manifest.csv': `path,activation\n${path},2\n` }).labels).not.toHaveProperty('levelEdges');
});
