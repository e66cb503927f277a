/**
 * Divides the dev speakers of a run in two. Some pick the best checkpoint within a round (early-stopping.ts). The others score
 * the model and decide if it becomes the champion. If the same speakers did both, the best of many checkpoints would be the one
 * that these speakers happen to flatter, and its score would be too high: the winner's curse.
 *
 * Five speakers must remain for the decision, so fewer than seven dev speakers pick nothing: the round does all its steps and
 * keeps its last model. A speaker that has picked once never decides about a later model of the run, because that model
 * descends from the picked one.
 */
import { inTurn } from '#corpora/place-speakers.js';
import { hashShare } from '#corpora/splits.js';
import { fewestSpeakers } from '#evaluation/bootstrap.js';
import type { ViewUtterance } from '#index/training-index.js';

const fewestThatPick = 2;
/** A decision needs more speakers than a choice: an error in it lasts. */
const shareThatPicks = 1 / 3;

/**
 * @param dev utterances of dev speakers that carry the run's target
 * @param pickedBefore speakers that picked a checkpoint in an earlier round of the run
 * @returns the speakers that pick; none if too few would remain
 */
export function pickingSpeakers(dev: readonly ViewUtterance[], pickedBefore: ReadonlySet<string>): Set<string> {
  const speakers = new Set(dev.flatMap(({ labels }) => labels.speakerId ?? []));
  const picking = new Set([...speakers].filter((speaker) => pickedBefore.has(speaker)));
  const genderOf = new Map(dev.map(({ labels }) => [labels.speakerId ?? '', labels.gender]));
  const rest = [...speakers]
    .filter((speakerId) => !picking.has(speakerId))
    .map((speakerId) => ({ speakerId, gender: genderOf.get(speakerId) }));
  const others = inTurn(rest, ({ speakerId }) => hashShare(`pick/${speakerId}`)).map(({ speakerId }) => speakerId);
  const wanted = Math.max(fewestThatPick, Math.floor(speakers.size * shareThatPicks));
  const free = Math.max(0, others.length - fewestSpeakers);
  for (const speaker of others.slice(0, Math.min(free, Math.max(0, wanted - picking.size)))) picking.add(speaker);
  return picking.size >= fewestThatPick ? picking : new Set();
}
