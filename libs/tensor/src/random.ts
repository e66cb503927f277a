/**
 * The model's one source of chance: initial weights, prior samples, dropout masks. sfc32 (Chris Doty-Humphrey, PractRand):
 * 128 bits of state that fit a checkpoint, so that a resumed run draws what the run that never stopped would have drawn.
 * Equal draws are promised for one backend, not between `cpu` and native, which samples normals with its own kernel.
 */
import * as tf from '@tensorflow/tfjs';
import { opsOfBackend } from './ops-of-backend.js';

export type RandomState = [number, number, number, number];

export class SeededRandom {
  #state: Uint32Array;

  private constructor(state: RandomState) {
    this.#state = Uint32Array.from(state);
  }

  static fromSeed(seed: number): SeededRandom {
    const random = new SeededRandom([seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, 0x9e3779b9, 1]);
    for (let i = 0; i < 16; i++) random.nextUint32(); // neighbouring seeds start out alike; 12 rounds already mix them
    return random;
  }

  static fromState(state: RandomState): SeededRandom {
    return new SeededRandom(state);
  }

  get state(): RandomState {
    return [...this.#state] as RandomState;
  }

  nextUint32(): number {
    const s = this.#state;
    const result = (s[0]! + s[1]! + s[3]!) >>> 0;
    s[3] = s[3]! + 1;
    s[0] = s[1]! ^ (s[1]! >>> 9);
    s[1] = s[2]! + (s[2]! << 3);
    s[2] = ((s[2]! << 21) | (s[2]! >>> 11)) + result;
    return result;
  }

  /** In [0, 1), 32 bits. */
  uniform(): number {
    return this.nextUint32() / 2 ** 32;
  }

  /** N(0, I), on native by its multi-threaded kernel, elsewhere by Box and Muller. */
  normal(shape: number[]): tf.Tensor {
    return opsOfBackend().normal(shape, this);
  }

  /** Glorot and Bengio 2010, eq. 16: uniform within sqrt(6 / (fanIn + fanOut)). */
  glorotUniform(shape: number[], fanIn: number, fanOut: number): tf.Tensor {
    const limit = Math.sqrt(6 / (fanIn + fanOut));
    const values = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => (2 * this.uniform() - 1) * limit);
    return tf.tensor(values, shape, 'float32');
  }

  /** 0 with probability `rate`, else 1 / (1 - rate), so that the expected activation stays. */
  dropoutMask(shape: number[], rate: number): tf.Tensor {
    const kept = 1 / (1 - rate);
    const values = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => (this.uniform() < rate ? 0 : kept));
    return tf.tensor(values, shape, 'float32');
  }
}
