/**
 * CNN-LSTM with data augmentation, the paper's reference [73] (Etienne et al. 2018): convolutional blocks read the
 * spectrogram, a bidirectional LSTM runs over their frames, a softmax answers. Of that paper its abstract was read: convolutions
 * and recurrence, warped vocal tract lengths, batch norm in the recurrent layer, optimisers adjusted by layer. Four
 * convolutions, one bidirectional LSTM and rare classes drawn more often are what we know of its text.
 *
 * Ours, where we do not know it or the input differs: filters, pools, units and rates (the settings' defaults);
 * Adam; batch norm on what goes into the gates alone, over tiles and frames (Laurent et al. 2015); the mean of the LSTM's
 * outputs over time; all classes drawn equally often; tiles of 256 frames and 0 to 11 kHz in place of whole utterances;
 * no warped copies that vote at test.
 *
 * Shapes in the comments are the defaults': z [B,8,32,32], 64 units.
 */
import * as tf from '@tensorflow/tfjs';
import type { BatchNormWeights, Normalise } from '#paper/batch-norm.js';
import { dense, type Dense, type Dropout, type Network, WeightMaker } from '#paper/networks.js';
import type { Parameter } from '#tensor/parameter.js';
import type { SeededRandom } from '#tensor/random.js';
import { latentShape, type ModelSettings } from '#paper/settings.js';

const DIRECTIONS = 2;
/** Input, forget, cell, output. */
const GATES = 4;
/** Added to the forget gates, so that they begin open. */
const FORGET_BIAS = 1;

/** The forward direction's weights, then the backward one's. */
export interface RecurrentHead {
  /** [rows * channels, 2 * 4 * units] */
  input: Parameter<tf.Rank.R2>;
  /** Of what `input` gives; its beta is the gates' bias. */
  norm: BatchNormWeights;
  /** [2, units, 4 * units] */
  recurrent: Parameter<tf.Rank.R3>;
  output: Dense;
}

export function createRecurrentHead(name: string, classes: number, settings: ModelSettings, random: SeededRandom): Network<RecurrentHead> {
  const weights = new WeightMaker(name, random);
  const [rows, , channels] = latentShape(settings);
  const { units } = settings.cnnLstm!;
  const layers: RecurrentHead = {
    input: weights.matrix('input', rows * channels, DIRECTIONS * GATES * units),
    norm: weights.batchNorm('norm', DIRECTIONS * GATES * units),
    recurrent: weights.matrices('recurrent', DIRECTIONS, [units, GATES * units]),
    output: weights.dense('output', DIRECTIONS * units, classes),
  };
  return { layers, parameters: weights.parameters, statistics: weights.statistics };
}

/** z, read frame by frame in both directions, to logits. */
export function recurrentLogits(
  { input, norm, recurrent, output }: RecurrentHead,
  z: tf.Tensor4D,
  { normalise, dropout }: { normalise: Normalise; dropout: Dropout },
): tf.Tensor2D {
  const [count, , frames] = z.shape;
  const sequence = tf.reshape(tf.transpose(z, [0, 2, 1, 3]), [count * frames, -1]); // [B,8,32,32] -> [B*32,256]
  const projected = tf.reshape<tf.Rank.R4>(tf.matMul(sequence, input.value), [count, frames, 1, -1]); // -> [B,32,1,512]
  const gates = tf.reshape<tf.Rank.R3>(normalise(projected, norm), [count, frames, -1]); // -> [B,32,512]
  const [forward, backward] = tf.split(gates, DIRECTIONS, 2) as [tf.Tensor3D, tf.Tensor3D]; // -> 2 x [B,32,256]
  const steps = tf.unstack(tf.stack([forward, tf.reverse(backward, 1)]), 2) as tf.Tensor3D[]; // -> 32 x [2,B,256]
  const mean = tf.div<tf.Tensor3D>(tf.addN(lstmOutputs(steps, recurrent.value)), frames); // -> [2,B,64]
  const both = tf.concat(tf.unstack(mean) as tf.Tensor2D[], 1); // -> [B,128]
  return dense(output, dropout(both)); // -> [B,classes]
}

/** Both directions at once (Hochreiter and Schmidhuber 1997, with a forget gate). @returns the output of each step, [2,B,64] */
function lstmOutputs(steps: readonly tf.Tensor3D[], recurrent: tf.Tensor3D): tf.Tensor3D[] {
  const outputs: tf.Tensor3D[] = [];
  let cell: tf.Tensor3D | null = null;
  for (const projected of steps) {
    const before: tf.Tensor3D | undefined = outputs.at(-1);
    const gates: tf.Tensor3D = before ? tf.add(projected, tf.matMul(before, recurrent)) : projected; // [2,B,256]
    const [input, forget, candidate, output] = tf.split(gates, GATES, 2) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
    const written: tf.Tensor3D = tf.mul(tf.sigmoid(input), tf.tanh(candidate)); // [2,B,64]
    cell = cell ? tf.add(tf.mul(tf.sigmoid(tf.add(forget, FORGET_BIAS)), cell), written) : written;
    outputs.push(tf.mul(tf.sigmoid(output), tf.tanh(cell)));
  }
  return outputs;
}
