/**
 * Finds the session of an utterance, for folds by session (paper, Section V: five folds, IEMOCAP's five sessions). Shards
 * carry no session. In IEMOCAP (`Ses01F`) and MSP-IMPROV (`F01`; six sessions of one woman and one man) the speaker's name
 * gives it.
 *
 * Does not promise a session for other corpora, unless their labels give one.
 */
import type { Labels } from '#contracts/labels.js';

const sessionInName = [/(?:^|\/)Ses0(\d)[FM]$/, /(?:^|\/)[FM](0[1-6])$/];

/** @returns the name of the session, or null if it is unknown */
export function sessionOf({ session, speakerId = '' }: Pick<Labels, 'session' | 'speakerId'>): string | null {
  return session ?? sessionInName.map((pattern) => pattern.exec(speakerId)?.[1]).find((found) => found !== undefined) ?? null;
}
