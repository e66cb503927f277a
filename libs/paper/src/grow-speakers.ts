/**
 * Speakers keep arriving, so the speaker head grows between rounds: by whole masked blocks of 256 units, which keeps its
 * shape, and with it the compiled kernels, the same for most arrivals. Nothing learnt is lost: old units keep weights and
 * optimiser slots, so an old speaker's logit is what it was; its probability shrinks by what the new ones take.
 */
import * as tf from '@tensorflow/tfjs';
import { type AnyModel, modelOptimisers } from './model.js';
import type { Parameter } from '#tensor/parameter.js';
import { SPEAKER_BLOCK, speakerCapacity } from './settings.js';

/**
 * Makes the head know `speakerCount` speakers. A model without a speaker head just notes the number; fewer speakers than
 * it knows is a RangeError, since class numbers are never given anew.
 */
export function growSpeakers(model: AnyModel, speakerCount: number): void {
  if (speakerCount < model.speakerCount)
    throw new RangeError(`${speakerCount} speakers: the head knows ${model.speakerCount} already and never shrinks`);
  model.speakerCount = speakerCount;
  const output = model.heads.speaker?.layers.output;
  if (!output) return;
  const [inputs, units] = output.kernel.value.shape;
  const added = speakerCapacity(speakerCount) - units;
  if (added <= 0) return;
  // As one new block would be initialised: the limit does not shrink with the number of speakers.
  const fresh = model.random.glorotUniform([inputs, added], inputs, SPEAKER_BLOCK);
  append(model, output.kernel, fresh);
  append(model, output.bias, tf.zeros([added]));
}

/** Appends units along the last axis, and empty optimiser slots for them; disposes `fresh`. */
function append(model: AnyModel, parameter: Parameter, fresh: tf.Tensor): void {
  const axis = fresh.rank - 1;
  const grown = tf.tidy(() => tf.variable(tf.concat([parameter.value, fresh], axis)));
  parameter.value.dispose();
  parameter.value = grown;
  for (const optimiser of modelOptimisers(model)) optimiser.grow(parameter, (moment) => tf.concat([moment, tf.zerosLike(fresh)], axis));
  fresh.dispose();
}
