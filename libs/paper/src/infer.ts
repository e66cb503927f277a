/** What a system makes of tiles at inference: z, and each head's logits from it. Runs inside a tidy. */
import type * as tf from '@tensorflow/tfjs';
import { byRunningStatistics } from './batch-norm.js';
import { headLogitsOf } from './classification-phase.js';
import type { HeadName } from './losses.js';
import type { Model } from './model.js';
import { encode, noDropout } from './networks.js';
import { frozenPass, targetPass } from '#baselines/progressive.js';
import { sourceColumn, targetColumn } from '#baselines/progressive-phases.js';

export interface Inference {
  z: tf.Tensor4D;
  /** Of a head that the model has. */
  logitsOf: (task: HeadName) => tf.Tensor2D;
}

export function infer(model: Model, pixels: tf.Tensor4D): Inference {
  const pass = { normalise: byRunningStatistics, dropout: noDropout };
  if (model.lateral) {
    const source = frozenPass(sourceColumn(model), pixels);
    const target = targetPass(targetColumn(model), pixels, { source, ...pass });
    return { z: target.z, logitsOf: (task) => (task === 'emotion' ? target : source).logits };
  }
  const z = encode(model.encoder, pixels, byRunningStatistics);
  return { z, logitsOf: (task) => headLogitsOf(model, z, { task, ...pass }) };
}
