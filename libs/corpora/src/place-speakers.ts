/**
 * Places the speakers of a small corpus in train, dev and test, so that a promotion can be decided. A tenth of 24 speakers is
 * two dev speakers, and a decision needs five. So a corpus of 10 to 100 speakers holds out a number, not a share:
 *
 * | split | speakers of n |
 * | --- | --- |
 * | dev | n / 10, but at least 5, which decide; from 18 speakers on at least 7, because two more pick the best checkpoint |
 * | test | n / 10, but at least 1 |
 * | train | all others |
 *
 * A pure hash of the speaker cannot promise a number: of 24 speakers with a share of 0.3, fewer than five are dev in 11 of 100
 * corpora. So the caller records each placement and gives it back as `known`. A known speaker never moves. New speakers fill
 * what dev lacks, then what test lacks, in the order of their hash, and both genders in turn.
 *
 * The same roster gives the same placement, in whatever order its recordings arrive. A roster that grew in other steps may
 * give another one.
 */
import type { Gender, Split } from '#contracts/labels.js';
import { hashedSplit, hashShare } from './splits.js';

export interface RosterSpeaker {
  /** The corpus's own id. */
  speakerId: string;
  gender?: Gender | undefined;
}

/** A smaller corpus is not placed: five dev speakers would be more than half of it. */
const fewestToPlace = 10;
/** A larger corpus is not placed: the hash holds out enough of its speakers. */
export const mostToPlace = 100;
const fewestThatDecide = 5;
const fewestThatPick = 2;
/** From this many speakers on, dev gets speakers that pick the best checkpoint beside those that decide. */
const fewestForPicking = 18;

/** Least number of held-out speakers in a corpus of this size. */
export function heldOutTargets(speakers: number): { dev: number; test: number } {
  const tenth = Math.round(speakers / 10);
  const picking = speakers >= fewestForPicking ? fewestThatPick : 0;
  return { dev: Math.max(tenth, fewestThatDecide + picking), test: Math.max(tenth, 1) };
}

/**
 * @param roster all speakers that the annotations name
 * @param known splits of speakers that have one already
 * @returns the split of each speaker of the roster that has none yet
 */
export function placeSpeakers(corpus: string, roster: Iterable<RosterSpeaker>, known: ReadonlyMap<string, Split>): Map<string, Split> {
  const fresh = new Map([...roster].filter(({ speakerId }) => !known.has(speakerId)).map((speaker) => [speaker.speakerId, speaker]));
  const speakers = known.size + fresh.size;
  if (speakers < fewestToPlace || speakers > mostToPlace)
    return new Map([...fresh.keys()].map((speakerId) => [speakerId, hashedSplit(corpus, speakerId)]));
  const wanted = heldOutTargets(speakers);
  const has = (split: Split): number => [...known.values()].filter((each) => each === split).length;
  const lacking = { dev: wanted.dev - has('dev'), test: wanted.test - has('test') };
  const placed = new Map<string, Split>();
  for (const { speakerId } of inTurn([...fresh.values()], ({ speakerId }) => hashShare(`place/${corpus}/${speakerId}`))) {
    const split = lacking.dev > 0 ? 'dev' : lacking.test > 0 ? 'test' : 'train';
    if (split !== 'train') lacking[split]--;
    placed.set(speakerId, split);
  }
  return placed;
}

/** @returns the speakers in the order of their hash, the first of each gender before the second of each */
export function inTurn<Speaker extends RosterSpeaker>(speakers: readonly Speaker[], hashOf: (speaker: Speaker) => number): Speaker[] {
  const byHash = speakers.map((speaker) => ({ speaker, hash: hashOf(speaker) })).sort((a, b) => a.hash - b.hash);
  const ranks = new Map<Gender | undefined, number>();
  return byHash
    .map(({ speaker }) => {
      const rank = ranks.get(speaker.gender) ?? 0;
      ranks.set(speaker.gender, rank + 1);
      return { speaker, rank };
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ speaker }) => speaker);
}
