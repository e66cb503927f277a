/**
 * From a corpus's own word for an emotion to one of the four classes of the paper (Section IV-A). Excitement counts as
 * happiness, as in the paper's references; calm, surprise, fear, disgust, boredom, frustration and "other" are none of them.
 */
import type { EmotionCategory } from '#contracts/labels.js';
import type { Annotation } from './corpus-reader.js';

/** One of the four, or the word for what it is instead. */
export type EmotionWord = EmotionCategory | `not ${string}`;

/** @param word undefined: the corpus's code is unknown */
export function categoryLabels(word: EmotionWord | undefined): Pick<Annotation, 'noCategoryBecause'> & { category?: EmotionCategory } {
  if (word === undefined) return { noCategoryBecause: 'an unknown emotion code' };
  if (isOther(word)) return { noCategoryBecause: word.slice('not '.length) };
  return { category: word };
}

const isOther = (word: EmotionWord): word is `not ${string}` => word.startsWith('not ');
