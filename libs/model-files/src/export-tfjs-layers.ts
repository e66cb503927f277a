/**
 * A trained model as a tfjs layers model, for `tf.loadLayersModel` in a browser or in Node: inference alone, batch norm by
 * its running statistics, nothing of the optimisers. In: pixels over 255, [B, rows, frames, 1]. Out, by name: the
 * probabilities of each head, z, and of aae and ae the reconstruction.
 */
import * as tf from '@tensorflow/tfjs';
import { BATCH_NORM_EPSILON, type BatchNormWeights } from '#paper/batch-norm.js';
import { exportableHeads } from './exportable-heads.js';
import { headNames } from '#paper/losses.js';
import type { AnyModel } from '#paper/model.js';
import { HEAD_KERNEL, HEAD_POOL, type Head, type Network } from '#paper/networks.js';

/** Small beside the square of any deviation of a row (input-scale.ts). */
const SCALE_EPSILON = 1e-7;

/** File names to contents; they belong side by side. */
export type ExportedFiles = Record<string, string | Uint8Array>;

type Layer = tf.layers.Layer;

/** @param metadata goes into `model.json` as `userDefinedMetadata` */
export async function exportTfjsLayers(model: AnyModel, metadata: object): Promise<ExportedFiles> {
  const layersModel = new LayersBuilder(model).build();
  try {
    return await filesOf(layersModel, metadata);
  } finally {
    layersModel.dispose();
  }
}

/** Layers and, since their variables exist only once they are connected, what to fill them with afterwards. */
class LayersBuilder {
  readonly #model: AnyModel;
  readonly #weights: [Layer, tf.Tensor[]][] = [];
  readonly #slices: tf.Tensor[] = [];

  constructor(model: AnyModel) {
    this.#model = model;
  }

  build(): tf.LayersModel {
    const { settings, encoder, decoder, speakerCount } = this.#model;
    const heads = exportableHeads(this.#model);
    const pixels = tf.input({ shape: [...settings.tile, 1], name: 'pixels' });
    const z = this.#encode(encoder, this.#standardised(pixels));
    const present = headNames.filter((name) => heads[name] && (name !== 'speaker' || speakerCount > 0));
    const outputs = present.map((name) => this.#head(heads[name]!, z, name));
    outputs.push(tf.layers.activation({ activation: 'linear', name: 'z' }).apply(z) as tf.SymbolicTensor);
    if (decoder) outputs.push(this.#asPixels(this.#decode(decoder, z)));
    const built = tf.model({ inputs: pixels, outputs, name: 'undertone' });
    for (const [layer, weights] of this.#weights) layer.setWeights(weights);
    tf.dispose(this.#slices);
    return built;
  }

  /** The network's input from pixels (input-scale.ts). */
  #standardised(pixels: tf.SymbolicTensor): tf.SymbolicTensor {
    const { rowScale } = this.#model;
    if (!rowScale) return pixels;
    const { mean, deviation } = rowScale.layers;
    return this.#byRow(pixels, 'input', { gamma: ones(mean.value), beta: zeros(mean.value), mean: mean.value, deviation: deviation.value });
  }

  /** Pixels from the network's output. */
  #asPixels(output: tf.SymbolicTensor): tf.SymbolicTensor {
    const { rowScale } = this.#model;
    if (!rowScale) return output;
    const { mean, deviation } = rowScale.layers;
    return this.#byRow(output, 'output', {
      gamma: deviation.value,
      beta: mean.value,
      mean: zeros(mean.value),
      deviation: ones(mean.value),
    });
  }

  /**
   * gamma * (x - mean) / deviation + beta for each row. The layers model has no such layer: rows become the last axis, where
   * batch normalisation does it, and go back.
   */
  #byRow(
    x: tf.SymbolicTensor,
    name: string,
    { gamma, beta, mean, deviation }: Record<'gamma' | 'beta' | 'mean' | 'deviation', tf.Tensor>,
  ): tf.SymbolicTensor {
    const rowsLast = tf.layers.permute({ dims: [3, 2, 1], name: `${name}_rows_last` }).apply(x) as tf.SymbolicTensor; // [B,R,F,1] -> [B,1,F,R]
    const scale = tf.layers.batchNormalization({ epsilon: SCALE_EPSILON, name: `${name}_scale` });
    // The layer divides by the root of variance plus epsilon.
    const variance = tf.tidy(() => tf.sub(tf.square(deviation), SCALE_EPSILON));
    const scaled = this.#filled(scale, rowsLast, [gamma, beta, mean, variance]);
    this.#slices.push(variance, ...[gamma, beta, mean, deviation].filter((tensor) => !(tensor instanceof tf.Variable)));
    const isLast = name === 'output';
    return tf.layers
      .permute({ dims: [3, 2, 1], name: isLast ? 'reconstruction' : `${name}_rows_first` })
      .apply(scaled) as tf.SymbolicTensor;
  }

  #encode({ layers }: AnyModel['encoder'], pixels: tf.SymbolicTensor): tf.SymbolicTensor {
    return layers.reduce((x, { kernel, norm, pool, rectified }, i) => {
      const [rows, frames, , filters] = kernel.value.shape;
      const convolution = tf.layers.conv2d({
        filters,
        kernelSize: [rows, frames],
        padding: 'same',
        useBias: false,
        name: `encoder_${i}_convolution`,
      });
      const features = this.#filled(convolution, x, [kernel.value]);
      const normalised = this.#batchNorm(norm, features, `encoder_${i}_norm`);
      const pooled = tf.layers.maxPooling2d({ poolSize: pool, strides: pool, padding: 'valid', name: `encoder_${i}_pool` });
      const y = pooled.apply(normalised) as tf.SymbolicTensor;
      return rectified ? relu(y, `encoder_${i}_relu`) : y;
    }, pixels);
  }

  #decode({ layers }: NonNullable<AnyModel['decoder']>, z: tf.SymbolicTensor): tf.SymbolicTensor {
    return layers.reduce((x, { kernel, norm, bias, stride }, i) => {
      const [rows, frames, filters] = kernel.value.shape;
      const transposed = tf.layers.conv2dTranspose({
        filters,
        kernelSize: [rows, frames],
        strides: stride,
        padding: 'same',
        useBias: bias !== null,
        name: norm ? `decoder_${i}_convolution` : this.#model.rowScale ? 'decoder_output' : 'reconstruction',
      });
      const y = this.#filled(transposed, x, bias ? [kernel.value, bias.value] : [kernel.value]);
      return norm ? relu(this.#batchNorm(norm, y, `decoder_${i}_norm`), `decoder_${i}_relu`) : y;
    }, z);
  }

  #head({ layers: { convolution, hidden, output } }: Network<Head>, z: tf.SymbolicTensor, name: string): tf.SymbolicTensor {
    const filters = convolution.bias.value.shape[0];
    // Bias before the pool is bias after it; the layer has it before.
    const features = this.#filled(tf.layers.conv2d({ filters, kernelSize: HEAD_KERNEL, padding: 'same', name: `${name}_convolution` }), z, [
      convolution.kernel.value,
      convolution.bias.value,
    ]);
    const pooled = tf.layers.maxPooling2d({ poolSize: HEAD_POOL, strides: HEAD_POOL, name: `${name}_pool` }).apply(features);
    const flat = tf.layers.flatten({ name: `${name}_flatten` }).apply(relu(pooled as tf.SymbolicTensor, `${name}_relu`));
    const units = hidden.bias.value.shape[0];
    const activations = this.#filled(tf.layers.dense({ units, activation: 'relu', name: `${name}_hidden` }), flat as tf.SymbolicTensor, [
      hidden.kernel.value,
      hidden.bias.value,
    ]);
    // Units that stand for nobody are left out: masked, they have a probability of 0.
    const classes = name === 'speaker' ? this.#model.speakerCount : output.bias.value.shape[0];
    const kernel = output.kernel.value.slice([0, 0], [units, classes]);
    const bias = output.bias.value.slice([0], [classes]);
    this.#slices.push(kernel, bias);
    return this.#filled(tf.layers.dense({ units: classes, activation: 'softmax', name }), activations, [kernel, bias]);
  }

  #batchNorm({ gamma, beta, runningMean, runningVariance }: BatchNormWeights, x: tf.SymbolicTensor, name: string): tf.SymbolicTensor {
    const layer = tf.layers.batchNormalization({ epsilon: BATCH_NORM_EPSILON, name });
    return this.#filled(layer, x, [gamma.value, beta.value, runningMean.value, runningVariance.value]);
  }

  #filled(layer: Layer, x: tf.SymbolicTensor, weights: tf.Tensor[]): tf.SymbolicTensor {
    this.#weights.push([layer, weights]);
    return layer.apply(x) as tf.SymbolicTensor;
  }
}

const ones = ({ shape }: tf.Tensor1D): tf.Tensor1D => tf.ones(shape);
const zeros = ({ shape }: tf.Tensor1D): tf.Tensor1D => tf.zeros(shape);

function relu(x: tf.SymbolicTensor, name: string): tf.SymbolicTensor {
  return tf.layers.reLU({ name }).apply(x) as tf.SymbolicTensor;
}

/** As tfjs itself writes them: `model.json` beside one file of weights. */
async function filesOf(layersModel: tf.LayersModel, metadata: object): Promise<ExportedFiles> {
  let files: ExportedFiles = {};
  const handler = tf.io.withSaveHandler(async ({ modelTopology, weightSpecs = [], weightData }) => {
    const weights = new Uint8Array(tf.io.concatenateArrayBuffers([weightData ?? []].flat()));
    const json = {
      format: 'layers-model',
      generatedBy: 'undertone',
      convertedBy: null,
      modelTopology,
      weightsManifest: [{ paths: ['weights.bin'], weights: weightSpecs }],
      userDefinedMetadata: metadata,
    };
    files = { 'model.json': `${JSON.stringify(json)}\n`, 'weights.bin': weights };
    return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
  });
  await layersModel.save(handler);
  return files;
}
