/**
 * Maps a corpus's own word for an emotion to a class: one of the paper's four (Section IV-A), or one that corpus.json names. Excitement counts as happiness,
 * as in the paper's references. Calm, surprise, fear, disgust, boredom, frustration and "other" belong to no class. Calm
 * differs from neutral because RAVDESS recorded both.
 *
 * A corpus can change this in corpus.json: `{"labels": {"calm": "neutral", "furious": "angry", "excited": null}}`. It can also
 * name other classes: `{"classes": ["calm", "fear", "angry"], "labels": {"cross": "angry"}}`. Each class then also takes the
 * words that mean the same. All other words have no class.
 */
import type { emotionCategories, EmotionCategory } from '#contracts/labels.js';

/** One of the paper's four classes, or "not" and the word for another emotion. */
export type EmotionWord = (typeof emotionCategories)[number] | `not ${string}`;

/** A corpus's own words in lower case, with their classes. Null means no label. */
export type OwnWords = ReadonlyMap<string, EmotionCategory | null>;

/** Words that mean the same, for classes beside the four. The readers use the first of each. */
const otherWords: readonly (readonly string[])[] = [
  ['fear', 'fearful', 'afraid', 'scared', 'anxiety'],
  ['disgust', 'disgusted'],
  ['surprise', 'surprised'],
  ['boredom', 'bored'],
  ['frustration', 'frustrated', 'fru'],
  ['contempt', 'contemptuous'],
  ['calm', 'calmness'],
];

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

/**
 * @param classes that corpus.json names instead of the four
 * @param labels words that corpus.json maps; they win
 * @returns a class, or null for none, for every word whose class is not that of the paper
 */
export function ownWordsOf(classes: readonly string[], labels: OwnWords = new Map()): OwnWords {
  const own = new Map<string, EmotionCategory | null>();
  for (const word of everydayWords.keys()) own.set(word, null);
  for (const name of classes) for (const word of synonymsOf(normalWord(name))) own.set(word, name);
  // A class that is a synonym of another, such as excited beside happy, keeps its own word.
  for (const name of classes) own.set(normalWord(name), name);
  for (const [word, chosen] of labels) own.set(word, chosen);
  return own;
}

function synonymsOf(word: string): Iterable<string> {
  const meaning = everydayWords.get(word);
  if (meaning !== undefined) return [...everydayWords].flatMap(([other, its]) => (its === meaning ? [other] : []));
  return otherWords.find((words) => words.includes(word)) ?? [word];
}

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
