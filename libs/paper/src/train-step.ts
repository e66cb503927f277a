/**
 * One training step on one mixed batch of labelled and unlabelled tiles: checks the batch, has the system make its iteration
 * (the paper's three phases are in paper-model.ts) and reads the losses back. Nothing is retried: a step that throws (a batch
 * of the wrong size, a label out of range) has moved nothing.
 */
import * as tf from '@tensorflow/tfjs';
import { type HeadName, headNames, type ObjectiveWeights } from './losses.js';
import type { AnyModel } from './model.js';
import type { StepTensors } from './system.js';
import { inputOf } from './input-scale.js';
import { augmented } from './augmentation.js';

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

/**
 * Trains the model on one batch and reads the losses back in one transfer. Losses are those before each update. One step
 * at a time: wait for one before the next.
 * @throws RangeError when sizes or labels do not fit the model.
 */
export async function trainStep(model: AnyModel, given: TrainingBatch): Promise<StepLosses> {
  checkLabels(model, given);
  const batch = learntBatch(model, given);
  let names: string[] = [];
  const together = tf.tidy(() => {
    const pixels = inputOf(model, batch.tiles, batch.count);
    const losses = batch.count === 0 ? {} : model.system.iterate(pixels, batch);
    names = Object.keys(losses);
    return stacked(Object.values(losses));
  });
  const values = await together.data();
  together.dispose();
  return withTotal(model, Object.fromEntries(names.map((name, i) => [name, values[i]!])));
}

/** The tiles that teach the model something, as it learns them. Augmentation changes these tiles only, never predicted ones. */
function learntBatch(model: AnyModel, batch: TrainingBatch): TrainingBatch {
  const { system, settings } = model;
  const learnt = system.learnsWithoutEmotion() ? batch : withEmotion(batch, settings.tile);
  let { tiles } = learnt;
  if (system.augment) tiles = system.augment(tiles);
  const { augmentation, tile } = settings;
  if (augmentation) tiles = augmented(tiles, tile, { augmentation, random: model.random });
  return { ...learnt, tiles };
}

function withEmotion(batch: TrainingBatch, [rows, frames]: [number, number]): TrainingBatch {
  const kept = [...batch.emotion.keys()].filter((tile) => batch.emotion[tile]! >= 0);
  if (kept.length === batch.count) return batch;
  const size = rows * frames;
  const tiles = new Uint8Array(kept.length * size);
  kept.forEach((tile, at) => tiles.set(batch.tiles.subarray(tile * size, (tile + 1) * size), at * size));
  const keptOf = (labels: Int32Array): Int32Array => Int32Array.from(kept, (tile) => labels[tile]!);
  const { emotion, gender, speaker } = batch;
  return { ...batch, tiles, count: kept.length, emotion: keptOf(emotion), gender: keptOf(gender), speaker: keptOf(speaker) };
}

/** For one transfer of all; disposes the scalars. */
function stacked(losses: tf.Scalar[]): tf.Tensor1D {
  if (losses.length === 0) return tf.tensor1d([]);
  const together = tf.stack(losses) as tf.Tensor1D;
  tf.dispose(losses);
  return together;
}

function withTotal({ system }: AnyModel, measured: Partial<StepLosses>): StepLosses {
  const parts = {
    reconstruction: measured.reconstruction ?? null,
    discriminator: measured.discriminator ?? null,
    generator: measured.generator ?? null,
    discriminatorAccuracy: measured.discriminatorAccuracy ?? null,
    emotion: measured.emotion ?? null,
    gender: measured.gender ?? null,
    speaker: measured.speaker ?? null,
  };
  const weights = Object.entries(system.objectiveWeights()) as [keyof ObjectiveWeights, number][];
  const total = weights.reduce((sum, [name, weight]) => sum + weight * (parts[name] ?? 0), 0);
  return { ...parts, total };
}

/** A label beyond its head would train nothing and say nothing. */
function checkLabels(model: AnyModel, batch: TrainingBatch): void {
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
