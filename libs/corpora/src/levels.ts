/**
 * Three levels of activation and valence (paper, Table I), cut by corpus: both edges of a range belong to the lower level.
 *
 * Does not promise anything of corpora that the paper does not name: they are cut like IEMOCAP, whose scale theirs must
 * be, unless they are given edges of their own.
 */
/** Upper edges of the lowest and the middle level, of a scale from 1 to 5. */
export type LevelEdges = readonly [number, number];

const iemocapEdges: LevelEdges = [2, 3.5];
const mspImprovEdges: LevelEdges = [2.5, 3.5];

/**
 * @param value activation or valence, 1 to 5
 * @param given edges by corpus; without them a corpus that is named MSP-IMPROV, in whatever spelling, has its own
 * @returns 0 (low, negative), 1 (medium, neutral) or 2 (high, positive)
 */
export function levelOf(value: number, corpus: string, given: Readonly<Record<string, LevelEdges>> = {}): 0 | 1 | 2 {
  const [low, medium] =
    (Object.hasOwn(given, corpus) ? given[corpus] : undefined) ?? (/msp[-_. ]?improv/i.test(corpus) ? mspImprovEdges : iemocapEdges);
  if (value <= low) return 0;
  return value <= medium ? 1 : 2;
}
