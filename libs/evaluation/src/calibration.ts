/**
 * Computes the expected calibration error, ECE (Guo et al., "On calibration of modern neural networks", 2017, Section 2).
 * Utterances are put into bins by the probability of the answered class. Each bin compares the share of right answers with the
 * mean probability. ECE is the mean of these gaps, weighted by the utterances of each bin.
 */
import { mostProbable } from './confusion.js';
import type { PredictionRow } from './predictions-file.js';

export interface ReliabilityBin {
  /** The bin's range of probability: (from, to]. The first bin includes its lower end. */
  from: number;
  to: number;
  count: number;
  /** Mean probability of the answers; null in an empty bin. */
  confidence: number | null;
  /** Share of right answers; null in an empty bin. */
  accuracy: number | null;
}

export interface Calibration {
  n: number;
  /** From 0 (perfectly calibrated) to 1. */
  ece: number;
  bins: ReliabilityBin[];
}

/** @returns null without predictions */
export function calibrationOf(rows: readonly Pick<PredictionRow, 'truth' | 'probabilities'>[], binCount = 10): Calibration | null {
  if (rows.length === 0) return null;
  const sums = Array.from({ length: binCount }, () => ({ count: 0, confidence: 0, hits: 0 }));
  for (const { truth, probabilities } of rows) {
    const answer = mostProbable(probabilities);
    const confidence = probabilities[answer] as number;
    // Rounding can lift a mean of float32 above 1.
    const bin = sums[Math.min(binCount - 1, Math.max(0, Math.ceil(confidence * binCount) - 1))] as (typeof sums)[number];
    bin.count++;
    bin.confidence += confidence;
    bin.hits += answer === truth ? 1 : 0;
  }
  const bins = sums.map(({ count, confidence, hits }, index): ReliabilityBin => {
    const ends = { from: index / binCount, to: (index + 1) / binCount, count };
    return count === 0
      ? { ...ends, confidence: null, accuracy: null }
      : { ...ends, confidence: confidence / count, accuracy: hits / count };
  });
  const gaps = sums.reduce((sum, { confidence, hits }) => sum + Math.abs(hits - confidence), 0);
  return { n: rows.length, ece: gaps / rows.length, bins };
}
