/** Models that were never trained: a checkpoint and predictions of a chosen quality, as a trainer would write them. */
import { targetClasses, type EmotionTarget } from '#contracts/labels.js';
import { checkpointPrefix, predictionsKey } from '#contracts/object-keys.js';
import type { PredictionsWritten } from '#contracts/predictions.js';
import { writePredictions, type PredictionRow } from '#evaluation/predictions-file.js';
import { sha256Hex, type Objects } from '#storage/object-store.js';
import { manifestKey, viewKey, type Checkpoint } from './checkpoint-store.js';
import { freshSamplerState } from './sampler.js';

/** Number of utterances of each class by each speaker. */
const takes = 10;

interface MadeModel {
  step: number;
  /** Number of correct answers among each speaker's ten utterances of a class, for each class or for all. */
  right: number | Record<string, number>;
  devSpeakers?: number;
  target?: EmotionTarget;
  /** The champion that it was compared with. */
  champion?: { number: number; step: number; right: number | Record<string, number> };
  complete?: boolean;
}

export class MadeModels {
  constructor(
    private readonly store: Objects,
    private readonly runId = 'made',
  ) {}

  /** Writes a model with its predictions. @returns the fact that announces them */
  async write(model: MadeModel): Promise<PredictionsWritten> {
    const { step, right, champion, devSpeakers = 6, target = 'emotion', complete = true } = model;
    const classes = targetClasses[target];
    const rows = [...rowsOf('dev', { speakers: devSpeakers, right, classes }), ...rowsOf('test', { speakers: 2, right, classes })];
    const viewDigest = 'f'.repeat(64);
    const fact: PredictionsWritten = {
      ...(await this.putPredictions(step, target, rows, classes.length)),
      runId: this.runId,
      step,
      task: target,
      classes: [...classes],
      viewDigest,
      writtenAt: new Date().toISOString(),
    };
    if (champion) {
      const own = await this.putPredictions(
        step,
        `${target}-champion`,
        rowsOf('dev', { speakers: devSpeakers, right: champion.right, classes }),
        classes.length,
      );
      fact.champion = { ...own, number: champion.number, runId: this.runId, step: champion.step };
    }
    await this.putCheckpoint(step, { target, complete, predictions: [fact] });
    return fact;
  }

  private async putPredictions(step: number, task: string, rows: PredictionRow[], classCount: number) {
    const bytes = writePredictions(rows, classCount);
    const sha256 = sha256Hex(bytes);
    const objectKey = predictionsKey({ runId: this.runId, step, task, sha256 });
    await this.store.put(objectKey, bytes);
    return { objectKey, sha256, rows: rows.length };
  }

  private async putCheckpoint(
    step: number,
    facts: { target: EmotionTarget; complete: boolean; predictions: PredictionsWritten[] },
  ): Promise<void> {
    const { runId } = this;
    const weights = new TextEncoder().encode(`weights of ${runId}/${step}`);
    const sha256 = sha256Hex(weights);
    const key = `${checkpointPrefix(runId, step)}weights-${sha256.slice(0, 16)}.safetensors`;
    await this.store.put(key, weights);
    const checkpoint: Checkpoint = {
      format: 2,
      runId,
      round: Math.max(1, Math.round(step / 100)),
      step,
      roundStartStep: 0,
      roundSteps: 100,
      complete: facts.complete,
      epoch: 1,
      model: { settings: { target: facts.target } },
      weights: { key, sha256, sizeBytes: weights.byteLength },
      best: null,
      weightsStep: step,
      parent: null,
      sampler: freshSamplerState(),
      speakers: [],
      midpoints: null,
      view: { digest: 'f'.repeat(64), key: viewKey(runId, 'f'.repeat(64)), utterances: 1, tiles: { labelled: 40, unlabelled: 2 } },
      seen: { digest: 'f'.repeat(64), versions: 0, parts: [] },
      erasedInRound: 0,
      settingsHash: 'settings',
      configHash: 'config',
      config: {},
      codeVersion: '0.1.0',
      losses: null,
      predictions: facts.predictions,
      savedAt: new Date().toISOString(),
    };
    await this.store.put(manifestKey(runId, step), JSON.stringify(checkpoint));
  }
}

function rowsOf(
  split: 'dev' | 'test',
  { speakers, right, classes }: { speakers: number; right: MadeModel['right']; classes: readonly string[] },
): PredictionRow[] {
  return Array.from({ length: speakers }, (_, speaker) =>
    classes.flatMap((name, truth) =>
      Array.from({ length: takes }, (_, take): PredictionRow => {
        const heard = typeof right === 'number' ? right : (right[name] ?? 0);
        const answer = take < heard ? truth : (truth + 1) % classes.length;
        return {
          utteranceId: `made/${split}-${speaker}/${name}-${take}`,
          split,
          speakerId: `made/${split}-${speaker}`,
          truth,
          probabilities: Float32Array.from(classes, (_, index) => (index === answer ? 0.7 : 0.1)),
        };
      }),
    ),
  ).flat();
}
