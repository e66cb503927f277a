/**
 * Maps a corpus's own word for an emotion to one of the paper's four classes (Section IV-A). Excitement counts as happiness,
 * as in the paper's references. Calm, surprise, fear, disgust, boredom, frustration and "other" belong to no class. Calm
 * differs from neutral because RAVDESS recorded both.
 *
 * A corpus can change this in corpus.json: `{"labels": {"calm": "neutral", "furious": "angry", "excited": null}}`.
 */
import type { EmotionCategory } from '#contracts/labels.js';

/** One of the four classes, or "not" and the word for another emotion. */
export type EmotionWord = EmotionCategory | `not ${string}`;

/** A corpus's own words in lower case, with their classes. Null means no label. */
export type OwnWords = ReadonlyMap<string, EmotionCategory | null>;

/** Everyday English words that can only mean one of the four classes, and the abbreviations of public corpora. */
const everydayWords: ReadonlyMap<string, EmotionCategory> = new Map([
  ['angry', 'angry'],
  ['anger', 'angry'],
  ['ang', 'angry'],
  ['mad', 'angry'],
  ['happy', 'happy'],
  ['happiness', 'happy'],
  ['hap', 'happy'],
  ['joy', 'happy'],
  ['joyful', 'happy'],
  ['excited', 'happy'],
  ['excitement', 'happy'],
  ['exc', 'happy'],
  ['neutral', 'neutral'],
  ['neu', 'neutral'],
  ['sad', 'sad'],
  ['sadness', 'sad'],
]);

/** @returns null for a word of no class */
export function categoryOfWord(word: string, own: OwnWords): EmotionCategory | null {
  const known = normalWord(word);
  const chosen = own.get(known);
  return chosen === undefined ? (everydayWords.get(known) ?? null) : chosen;
}

/** The form in which words are compared: NFC, trimmed, lower case. */
export const normalWord = (word: string): string => word.normalize('NFC').trim().toLowerCase();

/**
 * @param word undefined if the corpus's code is unknown
 * @param own may give a class to a word without one, such as "calm", or take a class away
 */
export function categoryLabels(
  word: EmotionWord | undefined,
  own: OwnWords = new Map(),
): { category?: EmotionCategory; noCategoryBecause?: string } {
  if (word === undefined) return { noCategoryBecause: 'an unknown emotion code' };
  const name = isOther(word) ? word.slice('not '.length) : word;
  const chosen = own.get(name);
  if (chosen) return { category: chosen };
  if (isOther(word) || chosen === null) return { noCategoryBecause: name };
  return { category: word };
}

const isOther = (word: EmotionWord): word is `not ${string}` => word.startsWith('not ');
