/** Fused operations by plain tfjs, for every backend: also on native, where tests hold its kernels against these. */
import * as tf from '@tensorflow/tfjs';
import type { FusedOps } from './fused-ops.js';

export const portableOps: FusedOps = {
  floatsOf: (values, shape) => tf.tensor(Float32Array.from(values), shape, 'float32'),

  relu: (x) => tf.relu(x),

  batchNormTraining(x, gamma, beta, epsilon) {
    const moments = tf.moments(x, [0, 1, 2]); // [B,R,F,C] -> [C]
    const mean = moments.mean as tf.Tensor1D;
    const variance = moments.variance as tf.Tensor1D;
    return {
      normalised: tf.batchNorm4d(x, mean, variance, beta, gamma, epsilon),
      mean: tf.keep(mean.clone()),
      variance: tf.keep(variance.clone()),
    };
  },

  /** Box and Muller. */
  normal(shape, random) {
    const uniform = () => random.nextUint32() / 2 ** 32;
    const values = new Float32Array(tf.util.sizeFromShape(shape));
    for (let i = 0; i < values.length; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      const angle = 2 * Math.PI * uniform();
      values[i] = radius * Math.cos(angle);
      if (i + 1 < values.length) values[i + 1] = radius * Math.sin(angle);
    }
    return tf.tensor(values, shape, 'float32');
  },
};
