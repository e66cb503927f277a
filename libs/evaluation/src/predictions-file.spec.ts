import { expect, it } from 'vitest';
import { readPredictions, writePredictions, type PredictionRow } from './predictions-file.js';

it('reads back the rows that were written', () => {
  const rows: PredictionRow[] = [
    { utteranceId: 'c/1.wav', split: 'test', speakerId: 'c/s1', gender: 'male', truth: 2, probabilities: Float32Array.of(0.25, 0.25, 0.5) },
    { utteranceId: 'c/2.wav', split: 'dev', speakerId: '', truth: 0, probabilities: Float32Array.of(1, 0, 0) },
  ];
  expect(readPredictions(writePredictions(rows, 3))).toEqual(rows);
});

it('writes a file without rows', () => {
  expect(readPredictions(writePredictions([], 4))).toEqual([]);
});
