/**
 * A named weight. tfjs finds gradients by the variable's registered name, which must be unique in the process; two models
 * may live side by side, so the name that checkpoints and optimisers use is kept here and tfjs's is left to tfjs.
 */
import * as tf from '@tensorflow/tfjs';

export interface Parameter<R extends tf.Rank = tf.Rank> {
  /** Unique within its model, stable across versions: `encoder.0.kernel`. */
  readonly name: string;
  /** Replaced, not assigned, when the speaker head grows: read it at use, never keep it. */
  value: tf.Variable<R>;
}

export interface LossAndGradients {
  loss: tf.Scalar;
  /** By position in the parameter list; null where the loss does not depend on that parameter. */
  gradients: (tf.Tensor | null)[];
}

/** Gradients of a loss for exactly these parameters; all others are constants to it. The caller disposes (or tidies). */
export function lossAndGradients(loss: () => tf.Scalar, parameters: readonly Parameter[]): LossAndGradients {
  const { value, grads } = tf.variableGrads(
    loss,
    parameters.map((parameter) => parameter.value),
  );
  return { loss: value, gradients: parameters.map((parameter) => grads[parameter.value.name] ?? null) };
}
