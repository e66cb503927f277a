/**
 * Adam (Kingma and Ba 2015, Algorithm 1), one instance per phase and group, over one fixed, ordered list of parameters.
 * Unlike tfjs's it takes gradients by position, leaves a parameter without gradient wholly untouched (slots and step
 * count too, so a head that met no label neither drifts nor ages), and its state is saved and restored bit for bit.
 */
import * as tf from '@tensorflow/tfjs';
import type { Parameter } from '#tensor/parameter.js';

const BETA_1 = 0.9;
const BETA_2 = 0.999;

export interface AdamSlot {
  parameter: Parameter;
  /** First and second moments, of the parameter's shape. */
  moment1: tf.Variable;
  moment2: tf.Variable;
  /** Updates this parameter has had: the t of the bias corrections. */
  step: number;
}

export class Adam {
  readonly name: string;
  readonly learningRate: number;
  /** Of a schedule, for the steps to come; no part of what is saved. */
  rateFactor = 1;
  readonly slots: readonly AdamSlot[];
  readonly #epsilon: number;
  readonly #weightDecay: number;

  constructor(
    name: string,
    parameters: readonly Parameter[],
    options: { learningRate: number; epsilon: number; weightDecay?: number | undefined },
  ) {
    const { learningRate, epsilon, weightDecay = 0 } = options;
    this.name = name;
    this.learningRate = learningRate;
    this.#epsilon = epsilon;
    this.#weightDecay = weightDecay;
    this.slots = parameters.map((parameter) => ({ parameter, moment1: zerosLike(parameter), moment2: zerosLike(parameter), step: 0 }));
  }

  /** Moves each parameter that has a gradient. The caller disposes the gradients. */
  apply(gradients: readonly (tf.Tensor | null)[]): void {
    if (gradients.length !== this.slots.length)
      throw new RangeError(`${this.name}: ${gradients.length} gradients for ${this.slots.length} parameters`);
    this.slots.forEach((slot, i) => {
      const gradient = gradients[i];
      if (gradient) this.#move(slot, gradient);
    });
  }

  /** Fits a slot to a parameter that has grown; `grow` maps the old moment to the new one. */
  grow(parameter: Parameter, grow: (moment: tf.Tensor) => tf.Tensor): void {
    const slot = this.slots.find((candidate) => candidate.parameter === parameter);
    if (!slot) return;
    slot.moment1 = regrown(slot.moment1, grow);
    slot.moment2 = regrown(slot.moment2, grow);
  }

  dispose(): void {
    for (const { moment1, moment2 } of this.slots) tf.dispose([moment1, moment2]);
  }

  #move(slot: AdamSlot, gradient: tf.Tensor): void {
    const { parameter, moment1, moment2 } = slot;
    slot.step += 1;
    const correction1 = 1 - BETA_1 ** slot.step;
    const correction2 = 1 - BETA_2 ** slot.step;
    // lr * (m / c1) / (sqrt(v / c2) + eps), the corrections folded into two numbers
    const rate = (this.learningRate * this.rateFactor * Math.sqrt(correction2)) / correction1;
    const epsilon = this.#epsilon * Math.sqrt(correction2);
    tf.tidy(() => {
      moment1.assign(tf.add(moment1, tf.mul(tf.sub(gradient, moment1), 1 - BETA_1)));
      moment2.assign(tf.add(moment2, tf.mul(tf.sub(tf.square(gradient), moment2), 1 - BETA_2)));
      const kept = parameter.value.rank > 1 ? 1 - this.learningRate * this.rateFactor * this.#weightDecay : 1;
      const before = kept === 1 ? parameter.value : tf.mul(parameter.value, kept);
      parameter.value.assign(tf.sub(before, tf.div(tf.mul(moment1, rate), tf.add(tf.sqrt(moment2), epsilon))));
    });
  }
}

function zerosLike(parameter: Parameter): tf.Variable {
  return tf.tidy(() => tf.variable(tf.zerosLike(parameter.value), false));
}

function regrown(moment: tf.Variable, grow: (moment: tf.Tensor) => tf.Tensor): tf.Variable {
  const grown = tf.tidy(() => tf.variable(grow(moment), false));
  moment.dispose();
  return grown;
}
