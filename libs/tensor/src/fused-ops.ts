/**
 * The operations for which TensorFlow has kernels that tfjs does not reach by itself, as one interface. Two implementations
 * say the same: `native-ops.ts` by those kernels, `portable-ops.ts` by plain tfjs; `ops-of-backend.ts` picks. Normals
 * alone differ: each draws its own from the same seeds.
 */
import type * as tf from '@tensorflow/tfjs';

export interface BatchNormResult {
  normalised: tf.Tensor4D;
  /** Statistics of this batch over tiles, rows and frames; the variance is the population's. */
  mean: tf.Tensor1D;
  variance: tf.Tensor1D;
}

/** Where draws come from: whole numbers of 32 bits. */
interface DrawsUint32 {
  nextUint32(): number;
}

export interface FusedOps {
  /** 8-bit numbers as float32. */
  floatsOf<R extends tf.Rank>(values: Uint8Array, shape: tf.ShapeMap[R]): tf.Tensor<R>;
  relu<T extends tf.Tensor>(x: T): T;
  /**
   * Batch norm by the batch's own statistics, differentiable in x, gamma and beta; not in the returned statistics.
   * The caller disposes mean and variance, which outlive a tidy because a loss is computed inside one.
   */
  batchNormTraining(x: tf.Tensor4D, gamma: tf.Tensor1D, beta: tf.Tensor1D, epsilon: number): BatchNormResult;
  /** N(0, I). */
  normal(shape: number[], random: DrawsUint32): tf.Tensor;
}
