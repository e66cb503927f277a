/**
 * Multinomial logistic regression with an L2 penalty, on standardised features, trained by full-batch Adam from zero weights.
 * The same input gives the same answers. No maintained package offers it, and tfjs has the needed parts.
 */
import * as tf from '@tensorflow/tfjs';

export interface Features {
  /** [count, size], row-major */
  values: Float32Array;
  count: number;
  size: number;
}

const iterations = 400;
const rate = 0.02;

/** @param l2 weight of the mean square of the coefficients' sum @returns a function that gives probabilities, [count, classes] row-major */
export async function fitLogisticRegression(
  features: Features,
  classes: Int32Array,
  { classCount, l2 }: { classCount: number; l2: number },
): Promise<(others: Features) => Promise<Float32Array>> {
  const scale = scaleOf(features);
  const weights = tf.tidy(() => tf.variable(tf.zeros([features.size, classCount])));
  const bias = tf.tidy(() => tf.variable(tf.zeros([classCount])));
  const adam = tf.train.adam(rate);
  const inputs = tf.tensor2d(standardised(features, scale), [features.count, features.size]);
  const targets = tf.tidy(() => tf.oneHot(tf.tensor1d(classes, 'int32'), classCount).toFloat());
  for (let step = 0; step < iterations; step++)
    adam.minimize(
      () => {
        const logits = inputs.matMul(weights as unknown as tf.Tensor2D).add(bias); // [N,F] -> [N,K]
        const fit = tf.losses.softmaxCrossEntropy<tf.Tensor2D, tf.Scalar>(targets as tf.Tensor2D, logits as tf.Tensor2D);
        return fit.add<tf.Scalar>(tf.sum(tf.square(weights)).mul(l2));
      },
      false,
      [weights, bias],
    );
  const [learnt, offsets] = [await weights.data(), await bias.data()];
  for (const tensor of [weights, bias, inputs, targets, adam]) tensor.dispose();
  return async (others) => {
    const probabilities = tf.tidy(() => {
      const rows = tf.tensor2d(standardised(others, scale), [others.count, others.size]);
      return tf.softmax(rows.matMul(tf.tensor2d(learnt, [features.size, classCount])).add(tf.tensor1d(offsets))); // [N,F] -> [N,K]
    });
    const values = (await probabilities.data()) as Float32Array;
    probabilities.dispose();
    return values;
  };
}

interface Scale {
  mean: Float64Array;
  deviation: Float64Array;
}

function scaleOf({ values, count, size }: Features): Scale {
  const [mean, deviation] = [new Float64Array(size), new Float64Array(size)];
  values.forEach((value, at) => (mean[at % size]! += value / count));
  values.forEach((value, at) => (deviation[at % size]! += (value - mean[at % size]!) ** 2 / count));
  return { mean, deviation: deviation.map(Math.sqrt) };
}

/** Standardises features. A constant feature carries no information and becomes 0. */
function standardised({ values, size }: Features, { mean, deviation }: Scale): Float32Array {
  return values.map((value, at) => {
    const column = at % size;
    return deviation[column]! > 1e-9 ? (value - mean[column]!) / deviation[column]! : 0;
  });
}
