/** Which fused operations the current backend has. */
import * as tf from '@tensorflow/tfjs';
import type { FusedOps } from './fused-ops.js';
import { nativeOps } from './native-ops.js';
import { portableOps } from './portable-ops.js';

/** Those of TensorFlow's native backend, CPU or GPU; the portable ones on all others. */
export function opsOfBackend(): FusedOps {
  return tf.getBackend() === 'tensorflow' ? nativeOps : portableOps;
}
