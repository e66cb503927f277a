/**
 * Chooses the held-out speakers of continuous training by a stable hash of corpus and speaker. A speaker never moves to
 * another split, whatever arrives and whenever. In a small corpus these shares hold out too few speakers for a decision:
 * place-speakers.ts then places the speakers. The folds of the paper's experiments are separate from this.
 */
import { createHash } from 'node:crypto';
import type { Split } from '#contracts/labels.js';

/** Of 100 speakers, about 10 are dev and 10 test. */
const devShare = 0.1;
const testShare = 0.1;
const withheldShare = 0.1;

/** @returns a number in [0,1) that depends on the text alone */
export function hashShare(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}

/** An unknown speaker is train, because nobody could tell if the model had heard the voice. */
export function hashedSplit(corpus: string, speakerId: string | undefined): Split {
  if (speakerId === undefined) return 'train';
  const share = hashShare(`split/${corpus}/${speakerId}`);
  if (share < testShare) return 'test';
  return share < testShare + devShare ? 'dev' : 'train';
}

/** The model cannot identify held-out speakers. These utterances of training speakers score speaker identification instead. */
export function isWithheld(split: Split, speakerId: string | undefined, utteranceId: string): boolean {
  return split === 'train' && speakerId !== undefined && hashShare(`withheld/${utteranceId}`) < withheldShare;
}
