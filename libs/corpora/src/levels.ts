/**
 * Cuts activation and valence into three levels (paper, Table I). Both edges of a range belong to the lower level. The
 * reader of a corpus owns its edges. Records carry the edges if these do not follow from the corpus's name. Records and
 * shards without edges are older, or come from a reader without edges (`manifest`): then the corpus's name decides.
 *
 * Promises nothing for corpora that the paper does not name. They are cut like IEMOCAP and must use its scale, unless
 * they get edges of their own.
 */
import type { LevelEdges } from '#contracts/labels.js';

export const iemocapEdges: LevelEdges = [2, 3.5];
export const mspImprovEdges: LevelEdges = [2.5, 3.5];

/** MSP-IMPROV's edges for a corpus with that name in any spelling, else IEMOCAP's. */
export const edgesOfName = (corpus: string): LevelEdges => (/msp[-_. ]?improv/i.test(corpus) ? mspImprovEdges : iemocapEdges);

/** @returns the reader's edges if the corpus's name gives other ones, so that other records keep their versions */
export function carriedEdges(corpus: string, ofReader: LevelEdges | undefined): LevelEdges | undefined {
  const [low, medium] = edgesOfName(corpus);
  return ofReader && (ofReader[0] !== low || ofReader[1] !== medium) ? ofReader : undefined;
}

/**
 * @param value activation or valence, 1 to 5
 * @param carried edges from the utterance's labels
 * @param given edges by corpus, from the settings of a run; they win over all others
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
