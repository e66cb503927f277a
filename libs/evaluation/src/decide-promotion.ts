/**
 * Decides if a challenger becomes the champion of its target. The rule: a paired bootstrap over dev speakers must find a better
 * UA (paper, Section V), and no class may lose too much recall. Test rows are dropped first. This is a pure function: the same
 * predictions give the same decision.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ModelComparison, ModelRejected } from '#contracts/promotions.js';
import { fewestSpeakers } from './bootstrap.js';
import { mostProbable } from './confusion.js';
import { judgingRows } from './judging-rows.js';
import { largestFall, pairRows, scoresOfModel, uaAboveChance, uaDifference, type PairedScored } from './paired-bootstrap.js';
import type { PredictionRow } from './predictions-file.js';

export interface PromotionSettings {
  /** A promotion needs at least this probability of being better. */
  confidence: number;
  /** The largest allowed fall of a class's recall, in percentage points. */
  maxRecallFallPoints: number;
}

export interface PromotionCase {
  classes: readonly string[];
  /** Dev speakers that picked the challenger among its round's checkpoints. They do not decide. */
  pickedBy?: readonly string[] | undefined;
  /** All rows of the challenger's predictions. */
  challenger: readonly PredictionRow[];
  /** The champion that the trainer compared it with: its number and prediction rows. */
  comparedWith: { number: number; rows: readonly PredictionRow[] } | null;
  /** The number of the target's current champion. */
  current: number | null;
}

type Verdict =
  | { promote: true; comparison: ModelComparison; why: string }
  | { promote: false; reason: ModelRejected['reason']; comparison: ModelComparison | null; why: string };
export type PromotionDecision = Verdict & { devSpeakers: number };

/** @throws PipelineError RECORD_INVALID if challenger and champion were scored on different utterances */
export function decidePromotion(given: PromotionCase, settings: PromotionSettings): PromotionDecision {
  const dev = devRows(given.challenger, given.pickedBy);
  const devSpeakers = new Set(dev.map(({ speakerId }) => speakerId)).size;
  if (devSpeakers < fewestSpeakers) {
    const others = given.pickedBy?.length ? ' that did not pick this model' : '';
    const why = `There are ${devSpeakers} dev speakers with this label${others}, and a decision needs ${fewestSpeakers}. Test speakers do not count. Add labelled recordings of more speakers, or name dev speakers in corpus.json under splits. Speakers that the run has heard do not count either: if you moved some to dev, set another RUN_NAME.`;
    return { promote: false, reason: 'too-few-speakers', comparison: null, why, devSpeakers };
  }
  const stale = staleness(given);
  if (stale) return { promote: false, reason: 'stale', comparison: null, why: stale, devSpeakers };
  const decided = given.comparedWith
    ? againstChampion(
        { ...given, dev, champion: devRows(given.comparedWith.rows, given.pickedBy), number: given.comparedWith.number },
        settings,
      )
    : againstChance({ classes: given.classes, dev }, settings);
  return { ...decided, devSpeakers };
}

/** @returns the reason if the comparison was not with the current champion */
export function staleness({ comparedWith, current }: { comparedWith: { number: number } | null; current: number | null }): string | null {
  if ((comparedWith?.number ?? null) === current) return null;
  if (!comparedWith && current !== null)
    return (
      `It was compared with no champion, and champion ${current} is in use. Either that one came since, and the next round will be compared with it. ` +
      'Or it could not be asked, because its classes, clusters or tiles differ: then promote a model of this run by hand, with `./undertone promote RUN/STEP`.'
    );
  const was = comparedWith ? `champion ${comparedWith.number}` : 'no champion';
  const is = current === null ? 'there is none now' : `champion ${current} has come since`;
  return `It was compared with ${was}, and ${is}. The next round will be compared with the current champion.`;
}

/** In floating point, 0.8 - 0.7 is slightly more than 0.1. */
const roundingPoints = 1e-9;

const devRows = (rows: readonly PredictionRow[], pickedBy: readonly string[] | undefined): PredictionRow[] =>
  judgingRows(rows, pickedBy).filter(({ split, speakerId }) => split === 'dev' && speakerId !== '');

function againstChampion(
  { classes, dev, champion, number }: { classes: readonly string[]; dev: PredictionRow[]; champion: PredictionRow[]; number: number },
  { confidence, maxRecallFallPoints }: PromotionSettings,
): Verdict {
  const pairs = paired(dev, champion);
  const scores = { challenger: scoresOfModel(pairs, 'challenger', classes), champion: scoresOfModel(pairs, 'champion', classes) };
  const fall = largestFall(scores.challenger.recall, scores.champion.recall);
  const comparison = comparisonOf(pairs, classes, uaDifference(pairs, classes.length), { ...scores, largestFall: fall });
  const { difference, probability } = comparison;
  const numbers = `UA ${percent(scores.challenger.ua)} against ${percent(scores.champion.ua)} of champion ${number} on ${comparison.speakers} dev speakers, better with probability ${probability.toFixed(3)}`;
  if (!(difference > 0 && probability >= confidence))
    return { promote: false, reason: 'not-better', comparison, why: `${numbers}; ${confidence} is asked for.` };
  if (fall && fall.points > maxRecallFallPoints + roundingPoints) {
    const why = `${numbers}, but recall of ${fall.class} fell by ${fall.points.toFixed(1)} points; at most ${maxRecallFallPoints} are allowed.`;
    return { promote: false, reason: 'recall-fell', comparison, why };
  }
  const most = fall ? `${fall.class} fell most, by ${fall.points.toFixed(1)} points` : 'no class fell';
  return { promote: true, comparison, why: `${numbers}; ${most}.` };
}

function againstChance({ classes, dev }: { classes: readonly string[]; dev: PredictionRow[] }, { confidence }: PromotionSettings): Verdict {
  const scored = dev.map(({ truth, speakerId, probabilities }) => ({ truth, speakerId, prediction: mostProbable(probabilities) }));
  const pairs = scored.map(({ truth, speakerId, prediction }) => ({ truth, speakerId, challenger: prediction, champion: prediction }));
  const challenger = scoresOfModel(pairs, 'challenger', classes);
  const above = uaAboveChance(scored, classes.length);
  const comparison = comparisonOf(pairs, classes, above, { challenger, champion: null, largestFall: null });
  const numbers = `UA ${percent(challenger.ua)} on ${comparison.speakers} dev speakers, above chance (${percent(comparison.chance)}) with probability ${comparison.probability.toFixed(3)}`;
  return comparison.difference > 0 && comparison.probability >= confidence
    ? { promote: true, comparison, why: `The first champion: ${numbers}.` }
    : {
        promote: false,
        reason: 'not-above-chance',
        comparison,
        why: `There is no champion yet, and this model cannot be the first: ${numbers}. A promotion needs ${confidence}.`,
      };
}

function paired(challenger: PredictionRow[], champion: PredictionRow[]): PairedScored[] {
  try {
    return pairRows(challenger, champion);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PipelineError('RECORD_INVALID', `Challenger and champion cannot be compared: ${error.message}`, { cause: error });
  }
}

function comparisonOf(
  pairs: PairedScored[],
  classes: readonly string[],
  bootstrapped: ReturnType<typeof uaDifference>,
  scores: Pick<ModelComparison, 'challenger' | 'champion' | 'largestFall'>,
): ModelComparison {
  if (!bootstrapped) throw new RangeError('a comparison needs speakers');
  return {
    ...scores,
    chance: 1 / new Set(pairs.map(({ truth }) => truth)).size,
    difference: bootstrapped.difference,
    interval: bootstrapped.interval,
    probability: bootstrapped.probability,
    utterances: pairs.length,
    speakers: new Set(pairs.map(({ speakerId }) => speakerId)).size,
  };
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
