/**
 * Progressive neural network with transfer, the paper's reference [78] (Gideon et al. 2017, after Rusu et al. 2016): a column
 * learns a source task, gender or speaker, and is frozen; a second column of the same layers learns emotion and reads, at
 * each layer above its first, what the frozen column's layer below made of the tile, through a learnt adapter:
 *
 *   h2_i = f(W_i h2_(i-1) + U_i relu(V_i (a_i h1_(i-1)) + b_i))        Rusu et al., eq. 2
 *
 * a_i is a learnt scale that begins small, V_i a 1x1 convolution (dense layers: a matrix) to fewer channels, U_i of the
 * layer's own kernel.
 *
 * Of [78] its abstract and introduction were read; the adapters are those of Rusu et al. Ours: [78] has dense layers over
 * functionals of an utterance (eGeMAPS), here columns are the paper's encoder and classifier over spectrogram tiles; the number
 * of source steps, widths and scales; one source corpus and task at a time, learnt from all train tiles that carry its label,
 * auxiliary corpora included; the second column begins at random weights.
 *
 * Shapes in the comments are those of networks.ts.
 */
import * as tf from '@tensorflow/tfjs';
import { byRunningStatistics, type Normalise } from '#paper/batch-norm.js';
import {
  dense,
  type Dropout,
  type EncoderBlock,
  type Head,
  HEAD_KERNEL,
  HEAD_POOL,
  type Network,
  noDropout,
  WeightMaker,
} from '#paper/networks.js';
import { opsOfBackend } from '#tensor/ops-of-backend.js';
import type { Parameter } from '#tensor/parameter.js';
import type { SeededRandom } from '#tensor/random.js';
import { encoderBlocks, latentShape, type ModelSettings } from '#paper/settings.js';

/** Of an adapter's scale. */
const INITIAL_SCALE = 0.1;

interface Adapter<R extends tf.Rank> {
  scale: Parameter<tf.Rank.R1>;
  reduce: Parameter<R>;
  bias: Parameter<tf.Rank.R1>;
  widen: Parameter<R>;
}

export interface Lateral {
  /** Into each block but the first. */
  blocks: Adapter<tf.Rank.R4>[];
  convolution: Adapter<tf.Rank.R4>;
  hidden: Adapter<tf.Rank.R2>;
  output: Adapter<tf.Rank.R2>;
}

/** An encoder and the head of one task. */
export interface Column {
  encoder: Network<EncoderBlock[]>;
  head: Network<Head>;
}

/** The outputs of a head's layers, in their order. */
interface HeadPass {
  flat: tf.Tensor2D;
  hidden: tf.Tensor2D;
  logits: tf.Tensor2D;
}

/** The outputs of a column's layers. */
interface ColumnPass extends HeadPass {
  /** After each block; the last is z. */
  blocks: tf.Tensor4D[];
}

/** Outputs of adapters, which the layers of a head add to their own. */
interface Beside {
  convolution: tf.Tensor4D;
  hidden: tf.Tensor2D;
  output: tf.Tensor2D;
}

/** The frozen column, as the second one reads it: by running statistics, without dropout. */
export const frozenPass = (source: Column, pixels: tf.Tensor4D): ColumnPass =>
  sourcePass(source, pixels, { normalise: byRunningStatistics, dropout: noDropout });

export function sourcePass(
  { encoder, head }: Column,
  pixels: tf.Tensor4D,
  { normalise, dropout }: { normalise: Normalise; dropout: Dropout },
): ColumnPass {
  const blocks: tf.Tensor4D[] = [];
  for (const block of encoder.layers) blocks.push(encodeBlock(block, blocks.at(-1) ?? pixels, { normalise }));
  return { blocks, ...headPass(head.layers, blocks.at(-1)!, { dropout }) };
}

/** A block of the paper's encoder. Its convolution adds `beside`, the output of an adapter. */
function encodeBlock(
  { kernel, norm, pool, rectified }: EncoderBlock,
  x: tf.Tensor4D,
  { normalise, beside }: { normalise: Normalise; beside?: tf.Tensor4D },
): tf.Tensor4D {
  const features = normalise(plus(tf.conv2d(x, kernel.value, 1, 'same'), beside), norm); // [B,128,256,1] -> [B,128,256,16]
  const pooled = tf.maxPool(features, pool, pool, 'valid'); // -> [B,64,128,16]
  return rectified ? opsOfBackend().relu(pooled) : pooled;
}

/** The paper's classifier. Each of its layers adds its part of `beside` before the ReLU. */
function headPass(
  { convolution, hidden, output }: Head,
  z: tf.Tensor4D,
  { dropout, beside }: { dropout: Dropout; beside?: Beside },
): HeadPass {
  const { relu } = opsOfBackend();
  const features = plus(tf.conv2d(z, convolution.kernel.value, 1, 'same'), beside?.convolution); // [B,16,16,32] -> [B,16,16,32]
  const pooled = tf.maxPool(features, HEAD_POOL, HEAD_POOL, 'valid'); // -> [B,8,8,32]
  const rectified = relu(tf.add<tf.Tensor4D>(pooled, convolution.bias.value));
  const flat = tf.reshape<tf.Rank.R2>(rectified, [z.shape[0], -1]); // -> [B,2048]
  const activations = relu(plus(dense(hidden, flat), beside?.hidden)); // -> [B,128]
  return { flat, hidden: activations, logits: plus(dense(output, dropout(activations)), beside?.output) }; // -> [B,classes]
}

const plus = <T extends tf.Tensor>(x: T, beside: T | undefined): T => (beside ? tf.add<T>(x, beside) : x);

/** @param source the frozen column's outputs for the same tiles @returns z of the second column, and emotion's logits */
export function targetPass(
  { encoder, head, lateral }: Column & { lateral: Network<Lateral> },
  pixels: tf.Tensor4D,
  { source, normalise, dropout }: { source: ColumnPass; normalise: Normalise; dropout: Dropout },
): { z: tf.Tensor4D; logits: tf.Tensor2D } {
  const { blocks, convolution, hidden, output } = lateral.layers;
  const z = encoder.layers.reduce((x, block, i) => {
    const beside = i === 0 ? undefined : adaptedMap(blocks[i - 1]!, source.blocks[i - 1]!);
    return encodeBlock(block, x, { normalise, beside }); // [B,128,256,1] -> ... -> [B,16,16,32]
  }, pixels);
  const beside = {
    convolution: adaptedMap(convolution, source.blocks.at(-1)!),
    hidden: adaptedVector(hidden, source.flat),
    output: adaptedVector(output, source.hidden),
  };
  return { z, logits: headPass(head.layers, z, { dropout, beside }).logits };
}

function adaptedMap({ scale, reduce, bias, widen }: Adapter<tf.Rank.R4>, h: tf.Tensor4D): tf.Tensor4D {
  const reduced = tf.conv2d(tf.mul<tf.Tensor4D>(h, scale.value), reduce.value, 1, 'same'); // [B,64,128,16] -> [B,64,128,8]
  const inner = opsOfBackend().relu(tf.add<tf.Tensor4D>(reduced, bias.value));
  return tf.conv2d(inner, widen.value, 1, 'same'); // -> [B,64,128,32]
}

function adaptedVector({ scale, reduce, bias, widen }: Adapter<tf.Rank.R2>, h: tf.Tensor2D): tf.Tensor2D {
  const reduced = tf.matMul(tf.mul<tf.Tensor2D>(h, scale.value), reduce.value); // [B,2048] -> [B,64]
  return tf.matMul(opsOfBackend().relu(tf.add<tf.Tensor2D>(reduced, bias.value)), widen.value); // -> [B,128]
}

export function createLateral(settings: ModelSettings, random: SeededRandom): Network<Lateral> {
  const weights = new WeightMaker('lateral', random);
  const { filters } = encoderBlocks(settings);
  const { kernel, dense, headFilters, tasks } = settings;
  const [rows, frames] = latentShape(settings);
  const narrow = (width: number): number => Math.ceil(width / settings.progressive!.reduction);
  const map = (name: string, from: number, to: { channels: number; kernel: number }): Adapter<tf.Rank.R4> => ({
    scale: weights.constant(`${name}.scale`, 1, INITIAL_SCALE),
    reduce: weights.kernel(`${name}.reduce`, [1, 1, from, narrow(from)]),
    bias: weights.constant(`${name}.bias`, narrow(from), 0),
    widen: weights.kernel(`${name}.widen`, [to.kernel, to.kernel, narrow(from), to.channels]),
  });
  const vector = (name: string, from: number, units: number): Adapter<tf.Rank.R2> => ({
    scale: weights.constant(`${name}.scale`, 1, INITIAL_SCALE),
    reduce: weights.matrix(`${name}.reduce`, from, narrow(dense)),
    bias: weights.constant(`${name}.bias`, narrow(dense), 0),
    widen: weights.matrix(`${name}.widen`, narrow(dense), units),
  });
  const flat = Math.floor(rows / HEAD_POOL) * Math.floor(frames / HEAD_POOL) * headFilters;
  const layers: Lateral = {
    blocks: filters.slice(1).map((channels, i) => map(`${i + 1}`, filters[i]!, { channels, kernel })),
    convolution: map('convolution', filters.at(-1)!, { channels: headFilters, kernel: HEAD_KERNEL }),
    hidden: vector('hidden', flat, dense),
    output: vector('output', dense, tasks.emotion.length),
  };
  return { layers, parameters: weights.parameters, statistics: weights.statistics };
}
