/**
 * The networks of the paper, Section IV-C and Fig. 1, as plain functions over named weights: encoder (which is also the
 * generator), decoder, discriminator and classifiers. Shapes in the comments are the defaults': tile 128 x 256,
 * filters 16, 32, 32, pools (2,2) (2,4) (2,2).
 *
 * Convolutions before a batch norm carry no bias (its beta is one). Max-pool comes before ReLU: both are monotone, so the
 * function is the same and ReLU works on a fraction of the values.
 */
import * as tf from '@tensorflow/tfjs';
import type { BatchNormWeights, Normalise } from './batch-norm.js';
import { opsOfBackend } from '#tensor/ops-of-backend.js';
import type { Parameter } from '#tensor/parameter.js';
import type { SeededRandom } from '#tensor/random.js';
import { encoderBlocks, isSupervised, latentShape, type ModelSettings } from './settings.js';

/** Added to the logit of a unit that stands for nobody yet: its probability is exactly 0 in float32. */
const MASKED_LOGIT = -1e9;
export const HEAD_KERNEL = 3;
export const HEAD_POOL = 2;

export interface EncoderBlock {
  kernel: Parameter<tf.Rank.R4>;
  norm: BatchNormWeights;
  pool: [number, number];
  rectified: boolean;
}

export interface DecoderBlock {
  /** [height, width, out, in], as transposed convolutions want it. */
  kernel: Parameter<tf.Rank.R4>;
  /** Absent in the last block, which has a bias and linear output instead. */
  norm: BatchNormWeights | null;
  bias: Parameter<tf.Rank.R1> | null;
  stride: [number, number];
}

export interface Dense {
  kernel: Parameter<tf.Rank.R2>;
  bias: Parameter<tf.Rank.R1>;
}

/** A classifier, or the discriminator with its one logit. */
export interface Head {
  /** The head judges each place of z by itself and gives an answer for each. A classifier never does. */
  byPlace: boolean;
  convolution: { kernel: Parameter<tf.Rank.R4>; bias: Parameter<tf.Rank.R1> };
  hidden: Dense;
  output: Dense;
}

/** A network with its weights in one fixed order, the order of optimisers and checkpoints. */
export interface Network<Layers> {
  layers: Layers;
  parameters: Parameter[];
  /** Running batch-norm statistics: saved, never trained by gradient. */
  statistics: Parameter[];
}

// ---------------------------------------------------------------------------------------------------------- forward

/** E: tiles to z. Without its last ReLU z reaches all of N(0, I). */
export function encode(encoder: Network<EncoderBlock[]>, pixels: tf.Tensor4D, normalise: Normalise): tf.Tensor4D {
  return encoder.layers.reduce((x, { kernel, norm, pool, rectified }) => {
    const features = normalise(tf.conv2d(x, kernel.value, 1, 'same'), norm); // [B,128,256,1] -> [B,128,256,16]
    const pooled = tf.maxPool(features, pool, pool, 'valid'); // -> [B,64,128,16] -> [B,32,32,32] -> [B,16,16,32]
    return rectified ? opsOfBackend().relu(pooled) : pooled;
  }, pixels);
}

/** z with the noise of a stochastic encoder, where the settings ask for one; the caller uses it in training alone. */
export function noisyLatent(z: tf.Tensor4D, { latentNoise }: ModelSettings, random: SeededRandom): tf.Tensor4D {
  return latentNoise ? tf.add(z, tf.mul(random.normal(z.shape), latentNoise)) : z;
}

/** D_delta: z to tiles, linear at the end. */
export function decode(decoder: Network<DecoderBlock[]>, z: tf.Tensor4D, normalise: Normalise): tf.Tensor4D {
  return decoder.layers.reduce((x, { kernel, norm, bias, stride }) => {
    const [count, rows, frames] = x.shape;
    const shape: [number, number, number, number] = [count, rows * stride[0], frames * stride[1], kernel.value.shape[2]];
    const y = tf.conv2dTranspose(x, kernel.value, shape, stride, 'same'); // [B,16,16,32] -> [B,32,32,32] -> [B,64,128,16] -> [B,128,256,1]
    return norm ? opsOfBackend().relu(normalise(y, norm)) : tf.add(y, bias!.value);
  }, z);
}

export type Dropout = (hidden: tf.Tensor2D) => tf.Tensor2D;

/**
 * C_phi and D_omega up to their logits. `dropout` works on the hidden layer: identity at inference.
 * @returns [B, classes]; of a head by place one row for each place, [B * rows * frames, classes]
 */
export function headLogits(
  { layers: { byPlace, convolution, hidden, output } }: Network<Head>,
  z: tf.Tensor4D,
  dropout: Dropout,
): tf.Tensor2D {
  const { relu } = opsOfBackend();
  const features = tf.conv2d(z, convolution.kernel.value, 1, 'same'); // [B,16,16,32] -> [B,16,16,32]
  const pooled = byPlace ? features : tf.maxPool(features, HEAD_POOL, HEAD_POOL, 'valid'); // -> [B,8,8,32]
  const rectified = relu(tf.add<tf.Tensor4D>(pooled, convolution.bias.value));
  const rows = byPlace ? [-1, rectified.shape[3]] : [z.shape[0], -1];
  const flat = tf.reshape<tf.Rank.R2>(rectified, rows as [number, number]); // -> [B,2048]; by place [B*256,32]
  const activations = relu(dense(hidden, flat)); // -> [B,128]
  return dense(output, dropout(activations)); // -> [B,classes]
}

/** Speaker logits with the units beyond `speakerCount` masked. */
export function maskSpeakers(logits: tf.Tensor2D, speakerCount: number): tf.Tensor2D {
  const mask = new Float32Array(logits.shape[1]).fill(MASKED_LOGIT, speakerCount);
  return tf.add(logits, mask); // [B,capacity] + [capacity]
}

/** Dropout whose mask comes from the model's generator, so that a resumed run drops the same units. */
export function seededDropout(random: SeededRandom, rate: number): Dropout {
  return (hidden) => (rate === 0 ? hidden : tf.mul(hidden, random.dropoutMask(hidden.shape, rate)));
}

export function noDropout(hidden: tf.Tensor2D): tf.Tensor2D {
  return hidden;
}

export function dense({ kernel, bias }: Dense, x: tf.Tensor2D): tf.Tensor2D {
  return tf.add(tf.matMul(x, kernel.value), bias.value);
}

// ---------------------------------------------------------------------------------------------------------- weights

export function createEncoder(settings: ModelSettings, random: SeededRandom, name = 'encoder'): Network<EncoderBlock[]> {
  const weights = new WeightMaker(name, random);
  const { filters, pools } = encoderBlocks(settings);
  const hasPrior = !isSupervised(settings) && settings.latent === 'gaussian';
  const layers = filters.map((channels, i): EncoderBlock => {
    const last = i === filters.length - 1;
    return {
      kernel: weights.kernel(`${i}.kernel`, [settings.kernel, settings.kernel, filters[i - 1] ?? 1, channels]),
      norm: weights.batchNorm(`${i}.norm`, channels),
      pool: pools[i]!,
      rectified: !(last && hasPrior),
    };
  });
  return { layers, parameters: weights.parameters, statistics: weights.statistics };
}

export function createDecoder(settings: ModelSettings, random: SeededRandom): Network<DecoderBlock[]> {
  const weights = new WeightMaker('decoder', random);
  const { filters, pools } = encoderBlocks(settings);
  const layers = filters.toReversed().map((channels, i): DecoderBlock => {
    const mirrored = filters.length - 1 - i;
    const last = mirrored === 0;
    const out = last ? 1 : filters[mirrored - 1]!;
    return {
      kernel: weights.kernel(`${i}.kernel`, [settings.kernel, settings.kernel, out, channels]),
      norm: last ? null : weights.batchNorm(`${i}.norm`, out),
      bias: last ? weights.constant(`${i}.bias`, out, 0) : null,
      stride: pools[mirrored]!,
    };
  });
  return { layers, parameters: weights.parameters, statistics: weights.statistics };
}

export function createHead(name: string, classes: number, settings: ModelSettings, random: SeededRandom): Network<Head> {
  const [rows, frames] = latentShape(settings);
  const flat = Math.floor(rows / HEAD_POOL) * Math.floor(frames / HEAD_POOL) * settings.headFilters;
  return headOf(name, classes, { settings, random, byPlace: false, side: HEAD_KERNEL, flat });
}

/** D_omega: a head with one logit. By place it has a 1x1 convolution, so that it sees one place of z at a time. */
export function createDiscriminator(settings: ModelSettings, random: SeededRandom): Network<Head> {
  if (settings.discriminator !== 'places') return createHead('discriminator', 1, settings, random);
  return headOf('discriminator', 1, { settings, random, byPlace: true, side: 1, flat: settings.headFilters });
}

interface HeadShape {
  settings: ModelSettings;
  random: SeededRandom;
  byPlace: boolean;
  /** Side of the convolution's kernel. */
  side: number;
  /** Inputs of the hidden layer. */
  flat: number;
}

function headOf(name: string, classes: number, { settings, random, byPlace, side, flat }: HeadShape): Network<Head> {
  const weights = new WeightMaker(name, random);
  const { headFilters, dense: units } = settings;
  const [, , channels] = latentShape(settings);
  const layers: Head = {
    byPlace,
    convolution: {
      kernel: weights.kernel('convolution.kernel', [side, side, channels, headFilters]),
      bias: weights.constant('convolution.bias', headFilters, 0),
    },
    hidden: weights.dense('hidden', flat, units),
    output: weights.dense('output', units, classes),
  };
  return { layers, parameters: weights.parameters, statistics: weights.statistics };
}

/** Makes weights, Glorot-uniform, in the order they are asked for. */
export class WeightMaker {
  readonly parameters: Parameter[] = [];
  readonly statistics: Parameter[] = [];
  readonly #prefix: string;
  readonly #random: SeededRandom;

  constructor(prefix: string, random: SeededRandom) {
    this.#prefix = prefix;
    this.#random = random;
  }

  kernel(name: string, shape: [number, number, number, number]): Parameter<tf.Rank.R4> {
    const [height, width, a, b] = shape;
    return this.#trained(name, this.#random.glorotUniform(shape, height * width * a, height * width * b) as tf.Tensor4D);
  }

  dense(name: string, inputs: number, units: number): Dense {
    return { kernel: this.matrix(`${name}.kernel`, inputs, units), bias: this.constant(`${name}.bias`, units, 0) };
  }

  matrix(name: string, inputs: number, units: number): Parameter<tf.Rank.R2> {
    return this.#trained(name, this.#random.glorotUniform([inputs, units], inputs, units) as tf.Tensor2D);
  }

  /** [count, inputs, units] */
  matrices(name: string, count: number, [inputs, units]: [number, number]): Parameter<tf.Rank.R3> {
    return this.#trained(name, this.#random.glorotUniform([count, inputs, units], inputs, units) as tf.Tensor3D);
  }

  constant(name: string, size: number, value: number): Parameter<tf.Rank.R1> {
    return this.#trained(name, tf.fill<tf.Rank.R1>([size], value));
  }

  batchNorm(name: string, channels: number): BatchNormWeights {
    return {
      gamma: this.constant(`${name}.gamma`, channels, 1),
      beta: this.constant(`${name}.beta`, channels, 0),
      runningMean: this.#add(this.statistics, `${name}.runningMean`, tf.zeros<tf.Rank.R1>([channels])),
      runningVariance: this.#add(this.statistics, `${name}.runningVariance`, tf.ones<tf.Rank.R1>([channels])),
    };
  }

  #trained<R extends tf.Rank>(name: string, initial: tf.Tensor<R>): Parameter<R> {
    return this.#add(this.parameters, name, initial);
  }

  #add<R extends tf.Rank>(list: Parameter[], name: string, initial: tf.Tensor<R>): Parameter<R> {
    const parameter: Parameter<R> = { name: `${this.#prefix}.${name}`, value: tf.variable(initial) };
    initial.dispose();
    list.push(parameter);
    return parameter;
  }
}
