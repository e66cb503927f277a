/**
 * Leaves out the dev speakers that picked a model among the checkpoints of its round (libs/rounds/src/picking-speakers.ts). They
 * chose the checkpoint that suits them, so they neither score the model nor decide about it.
 */
import type { PredictionRow } from './predictions-file.js';

/** @param pickedBy speakers that picked a checkpoint in a round of the model's run */
export function judgingRows(rows: readonly PredictionRow[], pickedBy: readonly string[] = []): PredictionRow[] {
  const picked = new Set(pickedBy);
  return rows.filter(({ split, speakerId }) => split !== 'dev' || !picked.has(speakerId));
}
