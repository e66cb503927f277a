/**
 * A model: its networks, its optimisers (one per phase and group, each over one fixed list of parameters) and its source
 * of chance. A checkpoint reaches everything that it has to hold from here, in one fixed order. paper-model.ts makes the
 * paper's models.
 */
import { Adam } from './adam.js';
import { createRowScale, type RowScale } from './input-scale.js';
import { classificationWeight, headNames } from './losses.js';
import { createHead, type DecoderBlock, type EncoderBlock, type Head, type Network } from './networks.js';
import type { Parameter } from '#tensor/parameter.js';
import type { SeededRandom } from '#tensor/random.js';
import { isSupervised, type ModelSettings, speakerCapacity } from './settings.js';
import type { System } from './system.js';

/** @typeParam Emotion the layers of the emotion head */
export type Heads<Emotion = Head> = { emotion: Network<Emotion> } & Record<'gender' | 'speaker', Network<Head> | null>;

/** The optimisers that a system has; the others are null. */
export interface Optimisers {
  /** Phase 1. */
  reconstructionEncoder: Adam | null;
  reconstructionDecoder: Adam | null;
  /** Phase 2, and the discriminator of `joint`. */
  discriminator: Adam | null;
  generator: Adam | null;
  /** Phase 3. */
  classificationEncoder: Adam | null;
  classificationHeads: Adam | null;
  /** Encoder, decoder, heads of `joint`. */
  joint: Adam | null;
}

/** The networks of a model, its optimisers and its generator. */
export interface ModelParts<Emotion = Head> {
  /** As created; `speakerCount` tells how many speakers there are by now. */
  readonly settings: ModelSettings;
  readonly encoder: Network<EncoderBlock[]>;
  readonly decoder: Network<DecoderBlock[]> | null;
  readonly discriminator: Network<Head> | null;
  readonly heads: Heads<Emotion>;
  /** Networks that only this system has, in checkpoint order; the paper's systems have none. */
  readonly furtherNetworks: readonly Network<unknown>[];
  readonly optimisers: Optimisers;
  random: SeededRandom;
}

export interface Model<Emotion = Head> extends ModelParts<Emotion> {
  /** Speakers the head knows; `growSpeakers` raises it. */
  speakerCount: number;
  /** Null where the settings take pixels as they are. */
  readonly rowScale: Network<RowScale> | null;
  readonly system: System;
  /** Frees every tensor the model holds; it is of no use afterwards. */
  dispose(): void;
}

/** A model of any system: the layers of its emotion head may be of another kind than the paper's. */
export type AnyModel = Model<unknown>;

/**
 * Makes a model of its parts. The model owns their tensors; the caller disposes the model.
 * @param systemOf binds the operations of the system to the model
 */
export function assembleModel<Parts extends ModelParts<unknown>>(
  parts: Parts,
  systemOf: (model: Parts & Pick<Model, 'speakerCount' | 'rowScale' | 'system' | 'dispose'>) => System,
): Parts & Pick<Model, 'speakerCount' | 'rowScale' | 'system' | 'dispose'> {
  const model = {
    ...parts,
    speakerCount: parts.settings.tasks.speakers,
    rowScale: createRowScale(parts.settings),
    get system(): System {
      return system;
    },
    dispose: () => {
      for (const { value } of [...modelParameters(model), ...modelStatistics(model)]) value.dispose();
      for (const optimiser of modelOptimisers(model)) optimiser.dispose();
    },
  };
  const system = systemOf(model);
  return model;
}

/** Heads of one kind for each task that the settings name. */
export function createHeads(settings: ModelSettings, random: SeededRandom): Heads {
  const { tasks: classes, auxiliary } = settings;
  return {
    emotion: createHead('emotion', classes.emotion.length, settings, random),
    gender: auxiliary.gender ? createHead('gender', classes.gender.length, settings, random) : null,
    speaker: auxiliary.speaker ? createHead('speaker', speakerCapacity(classes.speakers), settings, random) : null,
  };
}

/** Trained weights in checkpoint order. */
export function modelParameters(model: ModelParts<unknown>): Parameter[] {
  return networks(model).flatMap((network) => network.parameters);
}

/** Running batch-norm statistics and the input's scale, in checkpoint order. */
export function modelStatistics(model: ModelParts<unknown> & Pick<Model, 'rowScale'>): Parameter[] {
  return [...networks(model), ...(model.rowScale ? [model.rowScale] : [])].flatMap((network) => network.statistics);
}

export function headParameters(heads: Heads<unknown>): Parameter[] {
  return headNames.flatMap((name) => heads[name]?.parameters ?? []);
}

/** Optimisers in checkpoint order. */
export function modelOptimisers({ optimisers }: Pick<AnyModel, 'optimisers'>): Adam[] {
  return Object.values(optimisers).filter((optimiser): optimiser is Adam => optimiser !== null);
}

function networks({ encoder, decoder, discriminator, heads, furtherNetworks }: ModelParts<unknown>): Network<unknown>[] {
  const all = [encoder, decoder, discriminator, ...headNames.map((name) => heads[name]), ...furtherNetworks];
  return all.filter((network) => network !== null);
}

/**
 * Adam forgets the scale of a loss, so in a phase with an optimiser of its own alpha scales the encoder's learning rate
 * instead: alpha in phase 1 and, single-task, 1 - alpha in phase 3. Decoder and heads keep theirs, or alpha = 1 would
 * never train a head.
 */
export function createOptimisers({ settings, encoder, decoder, discriminator, heads }: Omit<ModelParts, 'optimisers'>): Optimisers {
  const { update, alpha, regularisation } = settings;
  const adam = adamOf(settings);
  const inPhases = isSupervised(settings) || update === 'phases';
  const phase1 = inPhases && decoder !== null;
  const discriminatorRate = inPhases ? regularisation.discriminatorRate : settings.joint.discriminatorRate;
  const classifiers = headParameters(heads);
  return {
    reconstructionEncoder: phase1 ? adam('reconstruction.encoder', encoder.parameters, alpha) : null,
    reconstructionDecoder: phase1 ? adam('reconstruction.decoder', decoder.parameters, 1) : null,
    discriminator: discriminator ? adam('regularisation.discriminator', discriminator.parameters, discriminatorRate) : null,
    generator: inPhases && discriminator ? adam('regularisation.encoder', encoder.parameters, regularisation.encoderRate) : null,
    classificationEncoder: inPhases ? adam('classification.encoder', encoder.parameters, classificationWeight(settings)) : null,
    classificationHeads: inPhases ? adam('classification.heads', classifiers, 1) : null,
    joint: inPhases ? null : adam('joint', [...encoder.parameters, ...(decoder?.parameters ?? []), ...classifiers], 1),
  };
}

/** Makes optimisers whose rate is a factor of the settings' learning rate. */
export function adamOf({ learningRate, adamEpsilon: epsilon, weightDecay }: ModelSettings) {
  return (name: string, parameters: readonly Parameter[], rate: number): Adam =>
    new Adam(name, parameters, { learningRate: learningRate * rate, epsilon, weightDecay });
}

/** For a system with optimisers of its own. */
export const noOptimisers: Optimisers = {
  reconstructionEncoder: null,
  reconstructionDecoder: null,
  discriminator: null,
  generator: null,
  classificationEncoder: null,
  classificationHeads: null,
  joint: null,
};
