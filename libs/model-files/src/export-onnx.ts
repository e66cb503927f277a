/**
 * A trained model as an ONNX file, for onnxruntime anywhere: inference alone, batch norm by its running statistics. In:
 * `pixels`, over 255, [B, rows, frames, 1]. Out: the probabilities of each head by name, `z` [B, rows, frames, channels],
 * and of aae and ae `reconstruction`. Axes and outputs are those of the tfjs export; inside, channels come first.
 */
import type * as tf from '@tensorflow/tfjs';
import protobuf from 'protobufjs/light.js';
import { BATCH_NORM_EPSILON, type BatchNormWeights } from '#paper/batch-norm.js';
import { exportableHeads } from './exportable-heads.js';
import { headNames } from '#paper/losses.js';
import type { AnyModel } from '#paper/model.js';
import { HEAD_KERNEL, HEAD_POOL, type Head, type Network } from '#paper/networks.js';
import type { Parameter } from '#tensor/parameter.js';
import { latentShape } from '#paper/settings.js';

/** Of the operators used here nothing has changed since, and every onnxruntime of the last years knows it. */
const OPSET = 15;
const IR_VERSION = 8;
const FLOAT = 1;
const INT64 = 7;

/** onnx.proto: the fields that a graph of plain operators needs. */
const { ModelProto } = protobuf.Root.fromJSON({
  nested: {
    ModelProto: {
      fields: {
        irVersion: { type: 'int64', id: 1 },
        producerName: { type: 'string', id: 2 },
        graph: { type: 'GraphProto', id: 7 },
        opsetImport: { rule: 'repeated', type: 'OperatorSetIdProto', id: 8 },
        metadataProps: { rule: 'repeated', type: 'StringStringEntryProto', id: 14 },
      },
    },
    OperatorSetIdProto: { fields: { domain: { type: 'string', id: 1 }, version: { type: 'int64', id: 2 } } },
    StringStringEntryProto: { fields: { key: { type: 'string', id: 1 }, value: { type: 'string', id: 2 } } },
    GraphProto: {
      fields: {
        node: { rule: 'repeated', type: 'NodeProto', id: 1 },
        name: { type: 'string', id: 2 },
        initializer: { rule: 'repeated', type: 'TensorProto', id: 5 },
        input: { rule: 'repeated', type: 'ValueInfoProto', id: 11 },
        output: { rule: 'repeated', type: 'ValueInfoProto', id: 12 },
      },
    },
    NodeProto: {
      fields: {
        input: { rule: 'repeated', type: 'string', id: 1 },
        output: { rule: 'repeated', type: 'string', id: 2 },
        name: { type: 'string', id: 3 },
        opType: { type: 'string', id: 4 },
        attribute: { rule: 'repeated', type: 'AttributeProto', id: 5 },
      },
    },
    AttributeProto: {
      fields: {
        name: { type: 'string', id: 1 },
        f: { type: 'float', id: 2 },
        i: { type: 'int64', id: 3 },
        ints: { rule: 'repeated', type: 'int64', id: 8, options: { packed: false } },
        type: { type: 'int32', id: 20 },
      },
    },
    TensorProto: {
      fields: {
        dims: { rule: 'repeated', type: 'int64', id: 1, options: { packed: false } },
        dataType: { type: 'int32', id: 2 },
        name: { type: 'string', id: 8 },
        rawData: { type: 'bytes', id: 9 },
      },
    },
    ValueInfoProto: { fields: { name: { type: 'string', id: 1 }, type: { type: 'TypeProto', id: 2 } } },
    TypeProto: { fields: { tensorType: { type: 'TensorTypeProto', id: 1 } } },
    TensorTypeProto: { fields: { elemType: { type: 'int32', id: 1 }, shape: { type: 'TensorShapeProto', id: 2 } } },
    TensorShapeProto: { fields: { dim: { rule: 'repeated', type: 'Dimension', id: 1 } } },
    Dimension: { fields: { dimValue: { type: 'int64', id: 1 }, dimParam: { type: 'string', id: 2 } } },
  },
}).nested as { ModelProto: protobuf.Type };

/** @param metadata goes into the file's `metadata_props` */
export async function exportOnnx(model: AnyModel, metadata: Record<string, string>): Promise<Uint8Array> {
  const { settings, encoder, decoder, rowScale, speakerCount } = model;
  const heads = exportableHeads(model);
  const [rows, frames] = settings.tile;
  const graph = new GraphBuilder();
  // One channel: [B,R,F,1] and [B,1,R,F] are the same numbers in the same order.
  const pixels = graph.reshape('pixels', [0, 1, rows, frames]);
  const z = encode(graph, encoder, standardised(graph, rowScale, pixels));
  const outputs = headNames
    .filter((name) => heads[name] && (name !== 'speaker' || speakerCount > 0))
    .map((name) => {
      const classes = name === 'speaker' ? speakerCount : heads[name]!.layers.output.bias.value.shape[0];
      head(graph, heads[name]!, z, { name, classes });
      return valueInfo(name, [classes]);
    });
  graph.node('Transpose', [z], { perm: [0, 2, 3, 1] }, 'z');
  outputs.push(valueInfo('z', latentShape(settings)));
  if (decoder) {
    graph.reshape(asPixels(graph, rowScale, decode(graph, decoder, z)), [0, rows, frames, 1], 'reconstruction');
    outputs.push(valueInfo('reconstruction', [rows, frames, 1]));
  }
  const file = {
    irVersion: IR_VERSION,
    producerName: 'undertone',
    graph: { name: 'undertone', ...(await graph.content()), input: [valueInfo('pixels', [rows, frames, 1])], output: outputs },
    opsetImport: [{ domain: '', version: OPSET }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  };
  return ModelProto.encode(ModelProto.create(file)).finish();
}

/** The network's input from pixels (input-scale.ts). */
function standardised(graph: GraphBuilder, rowScale: AnyModel['rowScale'], pixels: string): string {
  if (!rowScale) return pixels;
  const { mean, deviation } = rowScale.layers;
  return graph.node('Div', [graph.node('Sub', [pixels, graph.byRow(mean)]), graph.byRow(deviation)]);
}

/** Pixels from the network's output. */
function asPixels(graph: GraphBuilder, rowScale: AnyModel['rowScale'], output: string): string {
  if (!rowScale) return output;
  const { mean, deviation } = rowScale.layers;
  return graph.node('Add', [graph.node('Mul', [output, graph.byRow(deviation)]), graph.byRow(mean)]);
}

function encode(graph: GraphBuilder, { layers }: AnyModel['encoder'], pixels: string): string {
  return layers.reduce((x, { kernel, norm, pool, rectified }) => {
    const [height, width] = kernel.value.shape;
    const weights = graph.weights(kernel, [3, 2, 0, 1]); // [height, width, in, out] -> [out, in, height, width]
    const features = graph.node('Conv', [x, weights], { pads: samePads(height - 1, width - 1) });
    const normalised = graph.batchNorm(features, norm);
    const pooled = graph.node('MaxPool', [normalised], { kernel_shape: pool, strides: pool });
    return rectified ? graph.node('Relu', [pooled]) : pooled;
  }, pixels);
}

function decode(graph: GraphBuilder, { layers }: NonNullable<AnyModel['decoder']>, z: string): string {
  return layers.reduce((x, { kernel, norm, bias, stride }) => {
    const [height, width] = kernel.value.shape;
    const weights = graph.weights(kernel, [3, 2, 0, 1]); // [height, width, out, in] -> [in, out, height, width]
    const inputs = bias ? [x, weights, graph.weights(bias)] : [x, weights];
    const pads = samePads(height - stride[0], width - stride[1]);
    const y = graph.node('ConvTranspose', inputs, { strides: stride, pads });
    return norm ? graph.node('Relu', [graph.batchNorm(y, norm)]) : y;
  }, z);
}

function head(graph: GraphBuilder, { layers }: Network<Head>, z: string, { name, classes }: { name: string; classes: number }): void {
  const { convolution, hidden, output } = layers;
  const inputs = [z, graph.weights(convolution.kernel, [3, 2, 0, 1]), graph.weights(convolution.bias)];
  const features = graph.node('Conv', inputs, { pads: samePads(HEAD_KERNEL - 1, HEAD_KERNEL - 1) });
  const pooled = graph.node('MaxPool', [features], { kernel_shape: [HEAD_POOL, HEAD_POOL], strides: [HEAD_POOL, HEAD_POOL] });
  const rectified = graph.node('Relu', [pooled]);
  const lastAxis = graph.node('Transpose', [rectified], { perm: [0, 2, 3, 1] }); // flattened as in training
  const flat = graph.node('Flatten', [lastAxis], { axis: 1 });
  const activations = graph.node('Relu', [graph.node('Gemm', [flat, graph.weights(hidden.kernel), graph.weights(hidden.bias)])]);
  // Units that stand for nobody are left out: masked, they have a probability of 0.
  const kernel = graph.firstUnits(output.kernel, classes);
  const logits = graph.node('Gemm', [activations, kernel, graph.firstUnits(output.bias, classes)]);
  graph.node('Softmax', [logits], { axis: -1 }, name);
}

/** What TensorFlow's `same` adds in all, the smaller half before: [top, left, bottom, right]. */
function samePads(height: number, width: number): number[] {
  const [top, left] = [Math.floor(height / 2), Math.floor(width / 2)];
  return [top, left, height - top, width - left];
}

function valueInfo(name: string, shape: readonly number[]): object {
  const dim = [{ dimParam: 'batch' }, ...shape.map((dimValue) => ({ dimValue }))];
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
}

class GraphBuilder {
  readonly #nodes: object[] = [];
  readonly #initializers: object[] = [];
  /** By name, to be read from the device when all are known. */
  readonly #weights = new Map<string, tf.Tensor>();

  async content(): Promise<{ node: object[]; initializer: object[] }> {
    const initializer = [...this.#initializers];
    for (const [name, tensor] of this.#weights) {
      const rawData = new Uint8Array(Float32Array.from(await tensor.data()).buffer);
      initializer.push({ name, dims: tensor.shape, dataType: FLOAT, rawData });
      tensor.dispose();
    }
    return { node: this.#nodes, initializer };
  }

  /** @returns the name of its output */
  node(
    opType: string,
    input: string[],
    attributes: Record<string, number | number[]> = {},
    output = `value_${this.#nodes.length}`,
  ): string {
    const attribute = Object.entries(attributes).map(([name, value]) =>
      Array.isArray(value)
        ? { name, ints: value, type: 7 }
        : Number.isInteger(value)
          ? { name, i: value, type: 2 }
          : { name, f: value, type: 1 },
    );
    this.#nodes.push({ opType, name: `${opType}_${this.#nodes.length}`, input, output: [output], attribute });
    return output;
  }

  reshape(x: string, shape: number[], output?: string): string {
    const name = `shape_${this.#nodes.length}`;
    const rawData = new Uint8Array(BigInt64Array.from(shape, BigInt).buffer);
    this.#initializers.push({ name, dims: [shape.length], dataType: INT64, rawData });
    return this.node('Reshape', [x, name], {}, output);
  }

  batchNorm(x: string, { gamma, beta, runningMean, runningVariance }: BatchNormWeights): string {
    const inputs = [x, ...[gamma, beta, runningMean, runningVariance].map((parameter) => this.weights(parameter))];
    return this.node('BatchNormalization', inputs, { epsilon: BATCH_NORM_EPSILON });
  }

  /** @returns the name of the initializer, with its axes in this order */
  weights({ name, value }: Parameter<never> | Parameter, order?: number[]): string {
    return this.#add(name, () => (order ? value.transpose(order) : value.clone()));
  }

  /** A number for each row of [B, 1, rows, frames]. */
  byRow({ name, value }: Parameter<tf.Rank.R1>): string {
    return this.#add(name, () => value.reshape([1, 1, value.shape[0], 1]));
  }

  /** The first units, along the last axis. */
  firstUnits({ name, value }: Parameter<never> | Parameter, count: number): string {
    const begin = value.shape.map(() => 0);
    return this.#add(name, () => value.slice(begin, [...value.shape.slice(0, -1), count]));
  }

  #add(name: string, make: () => tf.Tensor): string {
    if (!this.#weights.has(name)) this.#weights.set(name, make());
    return name;
  }
}
