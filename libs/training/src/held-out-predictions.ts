/**
 * Predictions on utterances that were not trained on (paper, Section V): emotion and gender on dev and test speakers,
 * the speaker on withheld utterances of training speakers. An utterance's probabilities are the mean of its tiles'.
 */
import { emotionCategories, genders, tasks, type Task } from '#contracts/labels.js';
import type { Model } from '#model/model.js';
import { predict } from '#model/predict.js';
import type { PredictionRow } from '#scoring/predictions-file.js';
import type { TileStore } from './tile-store.js';
import type { ViewUtterance } from './training-index.js';

export interface TaskPredictions {
  task: Task;
  classes: string[];
  rows: PredictionRow[];
}

/** Tiles that are predicted at once. */
const chunkTiles = 64;

/** @param utterances held-out ones, see `heldOut` @param speakers class names of the speaker head */
export function predictHeldOut(
  model: Model,
  utterances: readonly ViewUtterance[],
  tileStore: TileStore,
  speakers: readonly string[],
): TaskPredictions[] {
  const results = tasks.map((task): TaskPredictions => ({ task, classes: [...classesOf(task, speakers)], rows: [] }));
  for (const chunk of chunksOf(utterances)) {
    const refs = chunk.flatMap((utterance) =>
      Array.from({ length: utterance.tileCount }, (_, tile) => ({ utterance, row: utterance.firstRow + tile })),
    );
    const probabilities = predict(model, tileStore.read(refs), refs.length);
    let firstTile = 0;
    for (const utterance of chunk) {
      for (const { task, classes, rows } of results) {
        const truth = truthOf(task, utterance, classes);
        const ofTask = probabilities[task];
        if (truth === null || !ofTask) continue;
        const mean = meanOfTiles(ofTask, { firstTile, tileCount: utterance.tileCount, classCount: classes.length });
        const split = utterance.withheld ? 'withheld' : (utterance.split as 'dev' | 'test');
        rows.push({ utteranceId: utterance.utteranceId, split, speakerId: utterance.labels.speakerId ?? '', truth, probabilities: mean });
      }
      firstTile += utterance.tileCount;
    }
  }
  return results.filter(({ rows }) => rows.length > 0);
}

function* chunksOf(utterances: readonly ViewUtterance[]): Generator<ViewUtterance[]> {
  let chunk: ViewUtterance[] = [];
  let tiles = 0;
  for (const utterance of utterances) {
    chunk.push(utterance);
    tiles += utterance.tileCount;
    if (tiles >= chunkTiles) {
      yield chunk;
      chunk = [];
      tiles = 0;
    }
  }
  if (chunk.length > 0) yield chunk;
}

const classesOf = (task: Task, speakers: readonly string[]): readonly string[] =>
  ({ emotion: emotionCategories, gender: genders, speaker: speakers })[task];

/** @returns the class number, or null where this task is not scored on this utterance */
function truthOf(task: Task, { labels, withheld }: ViewUtterance, classes: readonly string[]): number | null {
  // Withheld utterances are of speakers that were trained on: they score the speaker head and nothing else.
  if ((task === 'speaker') !== withheld) return null;
  const label = { emotion: labels.category, gender: labels.gender, speaker: labels.speakerId }[task];
  const index = label === undefined ? -1 : classes.indexOf(label);
  return index < 0 ? null : index;
}

function meanOfTiles(probabilities: Float32Array, place: { firstTile: number; tileCount: number; classCount: number }): Float32Array {
  const mean = new Float32Array(place.classCount);
  for (let tile = place.firstTile; tile < place.firstTile + place.tileCount; tile++) {
    for (let index = 0; index < place.classCount; index++)
      mean[index] = (mean[index] as number) + (probabilities[tile * place.classCount + index] as number) / place.tileCount;
  }
  return mean;
}
