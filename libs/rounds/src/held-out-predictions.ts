/**
 * Predicts utterances that the model was not trained on (paper, Section V): emotion and gender on dev and test speakers,
 * the speaker on withheld utterances of training speakers. The probabilities of an utterance are the mean over its tiles.
 */
import type { Task } from '#contracts/labels.js';
import { headNames, type HeadName } from '#paper/losses.js';
import type { AnyModel } from '#paper/model.js';
import { predict } from '#paper/predict.js';
import type { PredictionRow } from '#evaluation/predictions-file.js';
import type { HeadLabels } from './head-labels.js';
import type { TileStore } from './tile-store.js';
import type { ViewUtterance } from '#index/training-index.js';

export interface TaskPredictions {
  task: Task;
  classes: string[];
  rows: PredictionRow[];
}

/** Number of tiles in one prediction. */
const chunkTiles = 64;

/** @param utterances held-out utterances, see `heldOut` */
export async function predictHeldOut(
  model: AnyModel,
  utterances: readonly ViewUtterance[],
  tileStore: TileStore,
  labels: Record<HeadName, HeadLabels>,
): Promise<TaskPredictions[]> {
  const results = headNames.map((head) => ({ head, ...labels[head], rows: [] as PredictionRow[] }));
  for (const chunk of chunksOf(utterances)) {
    const refs = chunk.flatMap((utterance) =>
      Array.from({ length: utterance.tileCount }, (_, tile) => ({ utterance, row: utterance.firstRow + tile })),
    );
    const probabilities = await predict(model, await tileStore.read(refs), refs.length);
    let firstTile = 0;
    for (const utterance of chunk) {
      for (const { head, classes, classOf, rows } of results) {
        const truth = classOf(utterance);
        const ofHead = probabilities[head];
        if (truth < 0 || !isScoredOn(head, utterance) || !ofHead) continue;
        const mean = meanOfTiles(ofHead, { firstTile, tileCount: utterance.tileCount, classCount: classes.length });
        const split = utterance.withheld ? 'withheld' : (utterance.split as 'dev' | 'test');
        const { speakerId = '', gender } = utterance.labels;
        rows.push({ utteranceId: utterance.utteranceId, split, speakerId, ...(gender && { gender }), truth, probabilities: mean });
      }
      firstTile += utterance.tileCount;
    }
  }
  return results.filter(({ rows }) => rows.length > 0).map(({ task, classes, rows }) => ({ task, classes: [...classes], rows }));
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

/** Withheld utterances come from training speakers, so they score the speaker head only. */
const isScoredOn = (head: HeadName, { withheld }: ViewUtterance): boolean => (head === 'speaker') === withheld;

function meanOfTiles(probabilities: Float32Array, place: { firstTile: number; tileCount: number; classCount: number }): Float32Array {
  const mean = new Float32Array(place.classCount);
  for (let tile = place.firstTile; tile < place.firstTile + place.tileCount; tile++) {
    for (let index = 0; index < place.classCount; index++)
      mean[index] = (mean[index] as number) + (probabilities[tile * place.classCount + index] as number) / place.tileCount;
  }
  return mean;
}
