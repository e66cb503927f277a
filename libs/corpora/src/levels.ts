/**
 * Three levels of activation and valence (paper, Table I), cut by corpus: both edges of a range belong to the lower level.
 *
 * Does not promise anything of corpora that the paper does not name: they are cut like IEMOCAP, whose scale theirs must be.
 */
/** Upper edges of the lowest and the middle level, of a scale from 1 to 5. */
const iemocapEdges = [2, 3.5] as const;
const mspImprovEdges = [2.5, 3.5] as const;

/** @param value activation or valence, 1 to 5 @returns 0 (low, negative), 1 (medium, neutral) or 2 (high, positive) */
export function levelOf(value: number, readerName: string): 0 | 1 | 2 {
  const [low, medium] = readerName === 'msp-improv' ? mspImprovEdges : iemocapEdges;
  if (value <= low) return 0;
  return value <= medium ? 1 : 2;
}
