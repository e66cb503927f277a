/**
 * One training iteration (paper, Section III): reconstruction, regularisation, classification on one mixed batch of
 * labelled and unlabelled tiles; or the joint update. Which weights move is said by each phase. Nothing here is retried:
 * a step that throws (a batch of the wrong size, a label out of range) has moved nothing.
 */
import * as tf from '@tensorflow/tfjs';
import { classificationPhase, type Labels } from './classification-phase.js';
import { jointUpdate } from './joint-update.js';
import { objectiveWeights, type HeadName, headNames } from './losses.js';
import type { Model } from './model.js';
import { reconstructionPhase } from './reconstruction-phase.js';
import { isLearningSource, progressivePhase } from '#baselines/progressive-phases.js';
import { discriminatorStep, generatorStep } from './regularisation-phase.js';
import { pixelsOf } from './tiles.js';
import { perturbed } from '#baselines/vocal-tract-length.js';

/** Labels are class numbers, -1 where the tile carries none. A speaker's number lies below `model.speakerCount`. */
export interface TrainingBatch {
  /** `count * rows * frames` pixels, row-major: [tile][row][frame]. */
  tiles: Uint8Array;
  count: number;
  emotion: Int32Array;
  gender: Int32Array;
  speaker: Int32Array;
  /** By emotion class, how much a tile of it counts in that head's loss; all the same if not given. */
  emotionWeights?: Float32Array;
}

/** Losses of one step; null for a phase the system lacks or a head that had nothing to learn from. */
export interface StepLosses {
  reconstruction: number | null;
  /** Eq. 4; near 0 it has won and the encoder learns nothing from it. */
  discriminator: number | null;
  generator: number | null;
  /** Share of prior samples and latents that the discriminator told apart: 0.5 when it guesses. */
  discriminatorAccuracy: number | null;
  emotion: number | null;
  gender: number | null;
  speaker: number | null;
  /** Eq. 5: alpha * reconstruction + adversarial weight * generator + classification by eq. 3 (single-task: eq. 1). */
  total: number;
}

type StepTensors = Partial<Record<Exclude<keyof StepLosses, 'total'>, tf.Scalar>>;

/**
 * Trains the model on one batch and reads the losses back in one transfer. Losses are those before each update. One step
 * at a time: wait for one before the next.
 * @throws RangeError when sizes or labels do not fit the model.
 */
export async function trainStep(model: Model, given: TrainingBatch): Promise<StepLosses> {
  checkLabels(model, given);
  const batch = learntBatch(model, given);
  let names: string[] = [];
  const together = tf.tidy(() => {
    const pixels = pixelsOf(batch.tiles, batch.count, model.settings.tile);
    const losses = iteration(model, pixels, batch);
    names = Object.keys(losses);
    return stacked(Object.values(losses));
  });
  const values = await together.data();
  together.dispose();
  return withTotal(model, Object.fromEntries(names.map((name, i) => [name, values[i]!])));
}

/** Whether the model makes anything of a tile without emotion now. */
export function learnsWithoutEmotion(model: Model): boolean {
  return model.settings.system !== 'cnn-lstm' && (model.settings.system !== 'progressive' || isLearningSource(model));
}

/** Of the batch what is learnt from, as it is learnt: augmentation is for these tiles alone, never for those predicted. */
function learntBatch(model: Model, batch: TrainingBatch): TrainingBatch {
  const { random, settings } = model;
  const learnt = learnsWithoutEmotion(model) ? batch : withEmotion(batch, settings.tile);
  if (!settings.cnnLstm) return learnt;
  return { ...learnt, tiles: perturbed(learnt.tiles, settings.tile, { warp: settings.cnnLstm.warp, random }) };
}

function withEmotion(batch: TrainingBatch, [rows, frames]: [number, number]): TrainingBatch {
  const kept = [...batch.emotion.keys()].filter((tile) => batch.emotion[tile]! >= 0);
  if (kept.length === batch.count) return batch;
  const size = rows * frames;
  const tiles = new Uint8Array(kept.length * size);
  kept.forEach((tile, at) => tiles.set(batch.tiles.subarray(tile * size, (tile + 1) * size), at * size));
  const of = (labels: Int32Array): Int32Array => Int32Array.from(kept, (tile) => labels[tile]!);
  const { emotion, gender, speaker } = batch;
  return { ...batch, tiles, count: kept.length, emotion: of(emotion), gender: of(gender), speaker: of(speaker) };
}

function iteration(model: Model, pixels: tf.Tensor4D, batch: TrainingBatch): StepTensors {
  if (batch.count === 0) return {};
  if (model.lateral) return progressivePhase(model, pixels, batch);
  return model.optimisers.joint ? jointIteration(model, pixels, batch) : threePhases(model, pixels, batch);
}

/** For one transfer of all; disposes the scalars. */
function stacked(losses: tf.Scalar[]): tf.Tensor1D {
  if (losses.length === 0) return tf.tensor1d([]);
  const together = tf.stack(losses) as tf.Tensor1D;
  tf.dispose(losses);
  return together;
}

function threePhases(model: Model, pixels: tf.Tensor4D, labels: Labels): StepTensors {
  const measured: StepTensors = {};
  if (model.decoder) {
    const { loss, z } = reconstructionPhase(model, pixels);
    measured.reconstruction = loss;
    if (model.discriminator) {
      Object.assign(measured, measuredDiscriminator(model, z));
      measured.generator = generatorStep(model, pixels);
    }
    z.dispose();
  }
  return { ...measured, ...classificationPhase(model, pixels, labels) };
}

function jointIteration(model: Model, pixels: tf.Tensor4D, labels: Labels): StepTensors {
  const { losses, z } = jointUpdate(model, pixels, labels);
  const { total, ...measured } = losses;
  const discriminator = model.discriminator ? measuredDiscriminator(model, z) : {};
  tf.dispose([total, z]);
  return { ...measured, ...discriminator };
}

function measuredDiscriminator(model: Model, z: tf.Tensor4D): StepTensors {
  const { loss, accuracy } = discriminatorStep(model, z);
  return { discriminator: loss, discriminatorAccuracy: accuracy };
}

function withTotal({ settings }: Model, measured: Partial<StepLosses>): StepLosses {
  const parts = {
    reconstruction: measured.reconstruction ?? null,
    discriminator: measured.discriminator ?? null,
    generator: measured.generator ?? null,
    discriminatorAccuracy: measured.discriminatorAccuracy ?? null,
    emotion: measured.emotion ?? null,
    gender: measured.gender ?? null,
    speaker: measured.speaker ?? null,
  };
  const weights = Object.entries(objectiveWeights(settings)) as [keyof ReturnType<typeof objectiveWeights>, number][];
  const total = weights.reduce((sum, [name, weight]) => sum + weight * (parts[name] ?? 0), 0);
  return { ...parts, total };
}

/** A label beyond its head would train nothing and say nothing. */
function checkLabels(model: Model, batch: TrainingBatch): void {
  const { emotion, gender } = model.settings.tasks;
  const classes: Record<HeadName, number> = { emotion: emotion.length, gender: gender.length, speaker: model.speakerCount };
  for (const task of headNames) {
    const labels = batch[task];
    if (labels.length !== batch.count) throw new RangeError(`${labels.length} ${task} labels for ${batch.count} tiles`);
    if (!model.heads[task]) continue;
    const beyond = labels.find((label) => label >= classes[task]);
    if (beyond !== undefined) {
      throw new RangeError(`${task} label ${beyond} of ${classes[task]} classes${task === 'speaker' ? ': grow the head first' : ''}`);
    }
  }
}
