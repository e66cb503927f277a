/**
 * Scores a model by gender, and speaker by speaker. A mean over all speakers hides who is served badly.
 *
 * Does not test if the genders differ: two intervals that overlap may still belong to a real difference.
 */
import type { GenderScore, SpeakerSpread } from '#contracts/evaluations.js';
import { genders, type Gender } from '#contracts/labels.js';
import { uaInterval, type SpeakerScored } from './bootstrap.js';
import { confusionMatrix, scoresOf } from './confusion.js';

export interface PersonScored extends SpeakerScored {
  /** Undefined if it is unknown. */
  gender?: Gender | undefined;
}

/** With fewer utterances, one answer moves a speaker's UA too far. */
const fewestOfSpeaker = 5;

/** @returns the scores of each gender that occurs */
export function scoresByGender(scored: readonly PersonScored[], classCount: number): Partial<Record<Gender, GenderScore>> {
  const byGender: Partial<Record<Gender, GenderScore>> = {};
  for (const gender of genders) {
    const own = scored.filter((each) => each.gender === gender);
    if (own.length === 0) continue;
    const { n, ua } = scoresOf(confusionMatrix(own, classCount));
    const known = own.filter(({ speakerId }) => speakerId !== '');
    const speakers = new Set(known.map(({ speakerId }) => speakerId)).size;
    byGender[gender] = { n, speakers, ua, uaInterval: uaInterval(known, classCount) };
  }
  return byGender;
}

/** @returns null if no speaker has enough utterances */
export function speakerSpread(scored: readonly SpeakerScored[], classCount: number): SpeakerSpread | null {
  const bySpeaker = Map.groupBy(
    scored.filter(({ speakerId }) => speakerId !== ''),
    ({ speakerId }) => speakerId,
  );
  const scores = [...bySpeaker]
    .filter(([, own]) => own.length >= fewestOfSpeaker)
    .map(([speakerId, own]) => ({ speakerId, ua: scoresOf(confusionMatrix(own, classCount)).ua }))
    .sort((a, b) => a.ua - b.ua || (a.speakerId < b.speakerId ? -1 : 1));
  const [worst] = scores;
  if (!worst) return null;
  const middle = [scores[Math.floor((scores.length - 1) / 2)], scores[Math.ceil((scores.length - 1) / 2)]];
  const median = middle.reduce((sum, each) => sum + (each?.ua ?? 0), 0) / 2;
  return { speakers: scores.length, median, worst: worst.ua, worstSpeaker: worst.speakerId };
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** @returns one line for people: "UA of women 52.0 % (5 speakers), of men 61.3 % (4 speakers); …"; null if nothing is known */
export function fairnessText({
  byGender,
  spread,
}: {
  byGender?: Partial<Record<Gender, GenderScore>> | undefined;
  spread?: SpeakerSpread | undefined;
}): string | null {
  const counted = (speakers: number): string => `${speakers} ${speakers === 1 ? 'speaker' : 'speakers'}`;
  const named = { female: 'women', male: 'men' } as const;
  const parts = genders.flatMap((gender) => {
    const score = byGender?.[gender];
    if (!score) return [];
    const interval = score.uaInterval ? `, ${percent(score.uaInterval[0])} to ${percent(score.uaInterval[1])}` : '';
    return [`${named[gender]} ${percent(score.ua)} (${counted(score.speakers)}${interval})`];
  });
  const groups = parts.length > 0 ? [`UA of ${parts.join(', ')}`] : [];
  const single = spread
    ? [`single speakers: median ${percent(spread.median)}, worst ${percent(spread.worst)} (${spread.worstSpeaker}), of ${spread.speakers}`]
    : [];
  return [...groups, ...single].join('; ') || null;
}
