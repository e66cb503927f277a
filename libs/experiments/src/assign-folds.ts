/**
 * Assigns utterances to folds (paper, Section V: ten folds "stratified based on speaker ID"; one is dev, eight are train, one
 * is test, in rotation). This is a pure function; the order of the utterances does not change the result.
 *
 * - `speaker`: no speaker is in two folds. This is the safe reading. The largest speakers are placed first. Each speaker goes
 *   to the fold with the fewest utterances of that gender so far; the smaller fold wins a tie. No fold is empty, and two folds
 *   differ by at most the utterances of the largest woman and the largest man.
 * - `session`: the same with whole sessions.
 * - `utterance`: each speaker's utterances are dealt over all folds, class by class, so every speaker is in every fold. The
 *   model then knows the voices that it is tested on.
 */
import type { Gender } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';

/** The fields of an utterance that decide its fold. */
export interface FoldedUtterance {
  utteranceId: string;
  speakerId: string;
  gender: Gender | null;
  session: string | null;
  /** The class of the emotion head; folds by utterance deal each class evenly. */
  emotion: string | null;
}

export type FoldRule = 'speaker' | 'session' | 'utterance';

/** @returns the fold of each utterance, 0 to count - 1 @throws PipelineError CONFIG_INVALID where a fold would be empty */
export function assignFolds(utterances: readonly FoldedUtterance[], { count, by }: { count: number; by: FoldRule }): Map<string, number> {
  return by === 'utterance' ? dealt(utterances, count) : grouped(utterances, count, by);
}

/** The parts of one step of the rotation. */
export function rotated(fold: number, count: number): { test: number; dev: number } {
  return { test: fold, dev: (fold + 1) % count };
}

interface Group {
  name: string;
  gender: Gender | null;
  utteranceIds: string[];
}

function grouped(utterances: readonly FoldedUtterance[], count: number, by: 'speaker' | 'session'): Map<string, number> {
  const groups = groupsOf(utterances, by);
  if (groups.length < count)
    throw new PipelineError(
      'CONFIG_INVALID',
      `folds: ${count} folds need at least ${count} ${by}s with labels, and there are ${groups.length} ${by}s: lower folds.count, or add ${by}s`,
    );
  const totals = new Array<number>(count).fill(0);
  const ofGender = new Map<Gender | null, number[]>();
  const foldOf = new Map<string, number>();
  for (const { gender, utteranceIds } of groups) {
    let own = ofGender.get(gender);
    if (!own) ofGender.set(gender, (own = new Array<number>(count).fill(0)));
    let best = 0;
    for (let fold = 1; fold < count; fold++) {
      const less = (own[fold] as number) - (own[best] as number) || (totals[fold] as number) - (totals[best] as number);
      if (less < 0) best = fold;
    }
    own[best] = (own[best] as number) + utteranceIds.length;
    totals[best] = (totals[best] as number) + utteranceIds.length;
    for (const utteranceId of utteranceIds) foldOf.set(utteranceId, best);
  }
  return foldOf;
}

/** Largest group first. A session has no gender. */
function groupsOf(utterances: readonly FoldedUtterance[], by: 'speaker' | 'session'): Group[] {
  const groups = new Map<string, Group>();
  for (const { utteranceId, speakerId, gender, session } of utterances) {
    const name = by === 'speaker' ? speakerId : session;
    if (name === null) throw new PipelineError('CONFIG_INVALID', `folds: ${utteranceId} has no session: use folds.by: speaker`);
    let group = groups.get(name);
    if (!group) groups.set(name, (group = { name, gender: by === 'speaker' ? gender : null, utteranceIds: [] }));
    group.utteranceIds.push(utteranceId);
  }
  return [...groups.values()].sort((a, b) => b.utteranceIds.length - a.utteranceIds.length || (a.name < b.name ? -1 : 1));
}

function dealt(utterances: readonly FoldedUtterance[], count: number): Map<string, number> {
  const bySpeaker = Map.groupBy(utterances, ({ speakerId }) => speakerId);
  const foldOf = new Map<string, number>();
  // Each speaker starts at the fold after the previous speaker's last one, so that no fold gets all the remainders.
  let next = 0;
  for (const [speakerId, own] of [...bySpeaker].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (own.length < count)
      throw new PipelineError(
        'CONFIG_INVALID',
        `folds: ${speakerId} has ${own.length} utterances, too few for ${count} folds: lower folds.count, or use folds.by: speaker`,
      );
    const nameOf = ({ emotion, utteranceId }: FoldedUtterance): string => `${emotion ?? ''} ${utteranceId}`;
    for (const { utteranceId } of own.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))) foldOf.set(utteranceId, next++ % count);
  }
  return foldOf;
}
