/**
 * The reference systems that every network has to beat: the majority class of training, and a logistic regression on
 * functionals, whose penalty is chosen on dev speakers. Both use the same folds as the networks.
 */
import { parseModelSettings } from '#paper/settings.js';
import { confusionMatrix, mostProbable, scoresOf } from '#evaluation/confusion.js';
import type { PredictionRow } from '#evaluation/predictions-file.js';
import { headLabels, midpointsFor, type HeadLabels } from '#rounds/head-labels.js';
import type { TaskPredictions } from '#rounds/held-out-predictions.js';
import type { TileStore } from '#rounds/tile-store.js';
import { isTrained, type ViewUtterance } from '#index/training-index.js';
import { classSettingsOf, type ExperimentFile } from './experiment-file.js';
import type { FoldView } from './fold-view.js';
import { functionals, functionalsOf } from './functionals.js';
import { type Features, fitLogisticRegression } from './logistic-regression.js';
import type { PlannedJob } from './plan-experiment.js';

/** Candidate weights of the L2 penalty. */
const penalties = [1e-4, 1e-3, 1e-2];

/** Utterances for training or testing a reference, with their classes. */
interface Labelled {
  utterances: ViewUtterance[];
  classes: Int32Array;
}

/** @returns predictions for the test fold */
export async function predictReference(
  { row, job }: PlannedJob,
  { view, tileStore, model }: { view: FoldView; tileStore: TileStore; model: ExperimentFile['model'] },
): Promise<TaskPredictions[]> {
  const settings = parseModelSettings({ ...classSettingsOf({ model }, row.target), seed: job.seed });
  const labels = headLabels(settings, { midpoints: midpointsFor(view.training, settings), speakers: [] }).emotion;
  const train = labelled(view.training.utterances.filter(isTrained), labels);
  const test = labelled(view.test, labels);
  const classes = [...settings.tasks.emotion];
  const probabilities =
    row.system === 'majority'
      ? frequencies(train.classes, { classCount: classes.length, count: test.utterances.length })
      : await regression(
          {
            train,
            test,
            dev: labelled(
              view.training.utterances.filter(({ split }) => split === 'dev'),
              labels,
            ),
          },
          classes.length,
          tileStore,
        );
  const rows = test.utterances.map(({ utteranceId, labels: { speakerId = '' } }, index): PredictionRow => {
    const own = probabilities.slice(index * classes.length, (index + 1) * classes.length);
    return { utteranceId, split: 'test', speakerId, truth: test.classes[index] as number, probabilities: own };
  });
  return rows.length > 0 ? [{ task: settings.target, classes, rows }] : [];
}

function labelled(utterances: readonly ViewUtterance[], { classOf }: HeadLabels): Labelled {
  const known = utterances.filter((utterance) => classOf(utterance) >= 0);
  return { utterances: known, classes: Int32Array.from(known, classOf) };
}

/** Answers every utterance with the class frequencies of training. */
function frequencies(classes: Int32Array, { classCount, count }: { classCount: number; count: number }): Float32Array {
  const shares = new Float32Array(classCount);
  for (const each of classes) shares[each]! += 1 / classes.length;
  return Float32Array.from({ length: count * classCount }, (_, at) => shares[at % classCount] as number);
}

async function regression(
  { train, dev, test }: Record<'train' | 'dev' | 'test', Labelled>,
  classCount: number,
  tileStore: TileStore,
): Promise<Float32Array> {
  const [learnt, checked, asked] = [
    await featuresOf(train.utterances, tileStore),
    await featuresOf(dev.utterances, tileStore),
    await featuresOf(test.utterances, tileStore),
  ];
  let best: { ua: number; probabilities: Float32Array } | null = null;
  for (const l2 of penalties) {
    const answer = await fitLogisticRegression(learnt, train.classes, { classCount, l2 });
    const ua = dev.utterances.length > 0 ? uaOf(await answer(checked), dev.classes, classCount) : 0;
    if (!best || ua > best.ua) best = { ua, probabilities: await answer(asked) };
  }
  return best?.probabilities ?? new Float32Array();
}

async function featuresOf(utterances: readonly ViewUtterance[], tileStore: TileStore): Promise<Features> {
  const shape = tileStore.tileShape;
  const size = functionalsOf(shape[0]);
  const values = new Float32Array(utterances.length * size);
  for (const [index, utterance] of utterances.entries()) {
    const refs = Array.from({ length: utterance.tileCount }, (_, tile) => ({ utterance, row: utterance.firstRow + tile }));
    values.set(functionals(await tileStore.read(refs), shape), index * size);
  }
  return { values, count: utterances.length, size };
}

function uaOf(probabilities: Float32Array, classes: Int32Array, classCount: number): number {
  const scored = Array.from(classes, (truth, index) => ({
    truth,
    prediction: mostProbable(probabilities.subarray(index * classCount, (index + 1) * classCount)),
  }));
  return scoresOf(confusionMatrix(scored, classCount)).ua;
}
