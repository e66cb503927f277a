/**
 * The seam between a model and its users: how one system learns from tiles and answers them. The paper's systems are in
 * paper-model.ts. Training, predictions, checkpoints and exports know models by this interface alone.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Normalise } from './batch-norm.js';
import type { HeadName, ObjectiveWeights } from './losses.js';

/** Class numbers by head, -1 where a tile carries none; and how much a tile of each emotion class counts, if not all the same. */
export type Labels = Record<HeadName, Int32Array> & { emotionWeights?: Float32Array };

export type TaskLosses = Partial<Record<HeadName, tf.Scalar>>;

/** The losses of one step. A part that the system lacks, or that had nothing to learn from, is absent. */
export interface StepTensors extends TaskLosses {
  reconstruction?: tf.Scalar;
  discriminator?: tf.Scalar;
  generator?: tf.Scalar;
  discriminatorAccuracy?: tf.Scalar;
}

export interface Inference {
  z: tf.Tensor4D;
  /** Defined for each head that the model has. */
  logitsOf: (task: HeadName) => tf.Tensor2D;
}

/** One pass in training mode, without dropout, so that `normalise` sees each batch-norm layer that the system moves. */
export type ObservingPass = (pixels: tf.Tensor4D, normalise: Normalise) => void;

/** The operations of one model. Each runs inside a tidy. Pixels are [B, rows, frames, 1], one tile at least. */
export interface System {
  /** One training iteration. The caller disposes the losses, which are those before the updates. */
  iterate(pixels: tf.Tensor4D, labels: Labels): StepTensors;
  /** Answers by running batch-norm statistics, without dropout. */
  infer(pixels: tf.Tensor4D): Inference;
  observe: ObservingPass;
  /** The factor of each loss in the step's total. */
  objectiveWeights(): ObjectiveWeights;
  /** False where a tile without an emotion label teaches nothing at this step. */
  learnsWithoutEmotion(): boolean;
  /** Changes training tiles before a step learns them. A system without it learns the tiles as they are. */
  augment?(tiles: Uint8Array): Uint8Array;
}
