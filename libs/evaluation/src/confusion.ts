/**
 * Computes WA, UA, recall by class and the confusion matrix over utterances (paper, Section V).
 * WA is the accuracy. UA is the mean recall over the classes that occur in the truth, as scikit-learn's balanced accuracy.
 */
export interface Scored {
  /** Index of the true class. */
  truth: number;
  /** Index of the predicted class. */
  prediction: number;
}

export interface Scores {
  n: number;
  wa: number;
  ua: number;
  /** Recall by class, in order; null if the class does not occur. */
  recall: (number | null)[];
  /** Rows: truth, columns: prediction. */
  confusion: number[][];
}

export function confusionMatrix(scored: Iterable<Scored>, classCount: number): number[][] {
  const matrix = Array.from({ length: classCount }, () => new Array<number>(classCount).fill(0));
  for (const { truth, prediction } of scored) {
    const row = matrix[truth];
    if (!row || row[prediction] === undefined)
      throw new RangeError(`class ${truth} or ${prediction} is out of range: there are ${classCount} classes`);
    row[prediction]++;
  }
  return matrix;
}

/** @throws RangeError if there is nothing to score */
export function scoresOf(confusion: number[][]): Scores {
  const rowSums = confusion.map((row) => row.reduce((sum, count) => sum + count, 0));
  const n = rowSums.reduce((sum, count) => sum + count, 0);
  if (n === 0) throw new RangeError('nothing to score');
  const hits = confusion.map((row, index) => row[index] ?? 0);
  const recall = hits.map((hit, index) => (rowSums[index] ? hit / rowSums[index] : null));
  const occurring = recall.filter((value) => value !== null);
  return {
    n,
    wa: hits.reduce((sum, hit) => sum + hit, 0) / n,
    ua: occurring.reduce((sum, value) => sum + value, 0) / occurring.length,
    recall,
    confusion,
  };
}

/** The most probable class. The first wins a tie. */
export function mostProbable(probabilities: ArrayLike<number>): number {
  let best = 0;
  for (let index = 1; index < probabilities.length; index++) {
    if ((probabilities[index] as number) > (probabilities[best] as number)) best = index;
  }
  return best;
}
