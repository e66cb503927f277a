/**
 * Inference: class probabilities, latents and reconstructions, by running batch-norm statistics and without dropout.
 * Short training runs leave running statistics behind the weights: call `reestimateBatchNorm` first.
 */
import * as tf from '@tensorflow/tfjs';
import { PipelineError } from '#contracts/pipeline-error.js';
import { byRunningStatistics } from './batch-norm.js';
import { type HeadName, headNames } from './losses.js';
import type { AnyModel } from './model.js';
import { decode, encode as encodePixels, maskSpeakers } from './networks.js';
import { inputOf, outputPixels } from './input-scale.js';

/** Tiles per pass: bounds memory (32 default tiles hold 67 MB after the first convolution), whatever the caller asks for. */
const CHUNK = 32;

/** Class probabilities, row-major [tile][class]; null for a head the model lacks. */
export interface Predictions {
  /** [count * emotions] */
  emotion: Float32Array;
  /** [count * genders] */
  gender: Float32Array | null;
  /** [count * model.speakerCount] */
  speaker: Float32Array | null;
}

/** Probabilities of each head for `count` tiles, row-major as in a `TrainingBatch`. */
export async function predict(model: AnyModel, tiles: Uint8Array, count: number): Promise<Predictions> {
  const present = headNames.filter((task) => model.heads[task] && (task !== 'speaker' || model.speakerCount > 0));
  const outputs = await inChunks(model, tiles, {
    count,
    pass: (pixels) => {
      const { logitsOf } = model.system.infer(pixels);
      return present.map((task) => probabilities(model, logitsOf(task), task));
    },
  });
  const answersOf = (task: HeadName) => outputs[present.indexOf(task)] ?? (model.heads[task] ? new Float32Array() : null);
  return { emotion: answersOf('emotion')!, gender: answersOf('gender'), speaker: answersOf('speaker') };
}

/** z of each tile, row-major [tile][row][frame][channel]; its shape is `latentShape(settings)`. */
export async function encode(model: AnyModel, tiles: Uint8Array, count: number): Promise<Float32Array> {
  const [z] = await inChunks(model, tiles, { count, pass: (pixels) => [model.system.infer(pixels).z] });
  return z ?? new Float32Array();
}

/**
 * Tiles as the decoder gives them back, row-major [tile][row][frame], in units of 0 to 1 (linear, so a little beyond).
 * @throws PipelineError SETTINGS_INVALID for a supervised system, which has no decoder.
 */
export async function reconstruct(model: AnyModel, tiles: Uint8Array, count: number): Promise<Float32Array> {
  const { decoder, encoder, settings } = model;
  if (!decoder) throw new PipelineError('SETTINGS_INVALID', `system ${settings.system} has no decoder: reconstruct with aae or ae`);
  const [pixels] = await inChunks(model, tiles, {
    count,
    pass: (pixels) => [outputPixels(model, decode(decoder, encodePixels(encoder, pixels, byRunningStatistics), byRunningStatistics))],
  });
  return pixels ?? new Float32Array();
}

function probabilities(model: AnyModel, logits: tf.Tensor2D, task: HeadName): tf.Tensor2D {
  if (task !== 'speaker') return tf.softmax(logits);
  const known = tf.softmax(maskSpeakers(logits, model.speakerCount)); // [B,capacity]
  return tf.slice2d(known, [0, 0], [-1, model.speakerCount]); // [B,capacity] -> [B,speakers]
}

interface ChunkedPass {
  count: number;
  /** Runs inside a tidy; its tensors are read and disposed. */
  pass(pixels: tf.Tensor4D): tf.Tensor[];
}

/** Each output of the pass, all chunks one after another. */
async function inChunks(model: AnyModel, tiles: Uint8Array, { count, pass }: ChunkedPass): Promise<Float32Array[]> {
  const { settings } = model;
  const tileSize = settings.tile[0] * settings.tile[1];
  if (tiles.length !== count * tileSize) throw new RangeError(`${tiles.length} pixels are not ${count} tiles of ${tileSize}`);
  const outputs: Float32Array[] = [];
  for (let start = 0; start < count; start += CHUNK) {
    const size = Math.min(CHUNK, count - start);
    const tensors = tf.tidy(() => pass(inputOf(model, tiles.subarray(start * tileSize, (start + size) * tileSize), size)));
    for (const [i, tensor] of tensors.entries()) {
      outputs[i] ??= new Float32Array((tensor.size / size) * count);
      outputs[i].set(await tensor.data(), (tensor.size / size) * start);
      tensor.dispose();
    }
  }
  return outputs;
}
