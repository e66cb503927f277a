/**
 * Three levels of activation and valence (paper, Table I): both edges of a range belong to the lower level. A corpus's reader
 * owns its edges, and its records carry them where the corpus's name does not tell them. Records and shards without edges
 * are older, or of a reader that has none (`manifest`): the name of their corpus decides.
 *
 * Does not promise anything of corpora that the paper does not name: they are cut like IEMOCAP, whose scale theirs must
 * be, unless they are given edges of their own.
 */
import type { LevelEdges } from '#contracts/labels.js';

export const iemocapEdges: LevelEdges = [2, 3.5];
export const mspImprovEdges: LevelEdges = [2.5, 3.5];

/** Edges of a corpus that is named MSP-IMPROV, in whatever spelling, or IEMOCAP's. */
export const edgesOfName = (corpus: string): LevelEdges => (/msp[-_. ]?improv/i.test(corpus) ? mspImprovEdges : iemocapEdges);

/** @returns the reader's edges where the corpus's name tells others: so the versions of records that need none stay */
export function carriedEdges(corpus: string, ofReader: LevelEdges | undefined): LevelEdges | undefined {
  const [low, medium] = edgesOfName(corpus);
  return ofReader && (ofReader[0] !== low || ofReader[1] !== medium) ? ofReader : undefined;
}

/**
 * @param value activation or valence, 1 to 5
 * @param carried edges that the utterance's labels carry
 * @param given edges by corpus, from a run's settings: they go before all others
 * @returns 0 (low, negative), 1 (medium, neutral) or 2 (high, positive)
 */
export function levelOf(
  value: number,
  corpus: string,
  { carried, given = {} }: { carried?: LevelEdges; given?: Readonly<Record<string, LevelEdges>> } = {},
): 0 | 1 | 2 {
  const [low, medium] = (Object.hasOwn(given, corpus) ? given[corpus] : undefined) ?? carried ?? edgesOfName(corpus);
  if (value <= low) return 0;
  return value <= medium ? 1 : 2;
}
