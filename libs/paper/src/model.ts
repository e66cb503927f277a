/**
 * A model: its networks, its optimisers (one per phase and group, each over one fixed list of parameters) and its source
 * of chance. Everything a checkpoint has to hold is reachable from here in one fixed order.
 */
import { Adam } from './adam.js';
import { createRecurrentHead, type RecurrentHead } from '#baselines/cnn-lstm.js';
import { classificationWeight, headNames } from './losses.js';
import { createDecoder, createEncoder, createHead, type DecoderBlock, type EncoderBlock, type Head, type Network } from './networks.js';
import type { Parameter } from '#tensor/parameter.js';
import { createLateral, type Lateral } from '#baselines/progressive.js';
import { SeededRandom } from '#tensor/random.js';
import { isSupervised, type ModelSettings, sourceTaskOf, speakerCapacity } from './settings.js';

export type Heads = { emotion: Network<Head | RecurrentHead> } & Record<'gender' | 'speaker', Network<Head> | null>;

/** Optimisers a system has; the others are null. */
interface Optimisers {
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
  /** The first column of `progressive`; the second and the adapters. */
  source: Adam | null;
  target: Adam | null;
}

export interface Model {
  /** As created; `speakerCount` tells how many speakers there are by now. */
  readonly settings: ModelSettings;
  /** Speakers the head knows; `growSpeakers` raises it. */
  speakerCount: number;
  readonly encoder: Network<EncoderBlock[]>;
  readonly decoder: Network<DecoderBlock[]> | null;
  readonly discriminator: Network<Head> | null;
  readonly heads: Heads;
  /** Of `progressive`: the first column's encoder, whose head is that of the source task, and the adapters from it. */
  readonly source: Network<EncoderBlock[]> | null;
  readonly lateral: Network<Lateral> | null;
  readonly optimisers: Optimisers;
  random: SeededRandom;
  /** Frees every tensor the model holds; it is of no use afterwards. */
  dispose(): void;
}

/** Makes a model with fresh weights on the current backend. The caller disposes it. */
export function createModel(settings: ModelSettings): Model {
  const random = SeededRandom.fromSeed(settings.seed);
  const encoder = createEncoder(settings, random);
  const decoder = isSupervised(settings) ? null : createDecoder(settings, random);
  const discriminator = settings.system === 'aae' ? createHead('discriminator', 1, settings, random) : null;
  const { tasks: classes, auxiliary, system } = settings;
  const createEmotion = system === 'cnn-lstm' ? createRecurrentHead : createHead;
  const heads: Heads = {
    emotion: createEmotion('emotion', classes.emotion.length, settings, random),
    gender: auxiliary.gender ? createHead('gender', classes.gender.length, settings, random) : null,
    speaker: auxiliary.speaker ? createHead('speaker', speakerCapacity(classes.speakers), settings, random) : null,
  };
  const source = system === 'progressive' ? createEncoder(settings, random, 'source') : null;
  const lateral = system === 'progressive' ? createLateral(settings, random) : null;
  const parts: Parts = { settings, encoder, decoder, discriminator, heads, source, lateral };
  const model: Model = {
    ...parts,
    speakerCount: classes.speakers,
    optimisers: createOptimisers(parts),
    random,
    dispose: () => {
      for (const { value } of [...modelParameters(model), ...modelStatistics(model)]) value.dispose();
      for (const optimiser of modelOptimisers(model)) optimiser.dispose();
    },
  };
  return model;
}

/** Trained weights in checkpoint order. */
export function modelParameters(model: Model): Parameter[] {
  return networks(model).flatMap((network) => network.parameters);
}

/** Running batch-norm statistics in checkpoint order. */
export function modelStatistics(model: Model): Parameter[] {
  return networks(model).flatMap((network) => network.statistics);
}

export function headParameters(heads: Heads): Parameter[] {
  return headNames.flatMap((name) => heads[name]?.parameters ?? []);
}

/** Optimisers in checkpoint order. */
export function modelOptimisers({ optimisers }: Model): Adam[] {
  return Object.values(optimisers).filter((optimiser): optimiser is Adam => optimiser !== null);
}

function networks({ encoder, decoder, discriminator, heads, source, lateral }: Model): Network<unknown>[] {
  const all = [encoder, decoder, discriminator, ...headNames.map((name) => heads[name]), source, lateral];
  return all.filter((network) => network !== null);
}

type Parts = Pick<Model, 'settings' | 'encoder' | 'decoder' | 'discriminator' | 'heads' | 'source' | 'lateral'>;

/**
 * Adam forgets the scale of a loss, so in a phase with an optimiser of its own alpha scales the encoder's learning rate
 * instead: alpha in phase 1 and, single-task, 1 - alpha in phase 3. Decoder and heads keep theirs, or alpha = 1 would
 * never train a head.
 */
function createOptimisers({ settings, encoder, decoder, discriminator, heads, source, lateral }: Parts): Optimisers {
  const { update, alpha, learningRate, adamEpsilon: epsilon, regularisation } = settings;
  const adam = (name: string, parameters: Parameter[], rate: number) =>
    new Adam(name, parameters, { learningRate: learningRate * rate, epsilon });
  const isProgressive = source !== null && lateral !== null;
  const inPhases = !isProgressive && (isSupervised(settings) || update === 'phases');
  const phase1 = inPhases && decoder !== null;
  const discriminatorRate = inPhases ? regularisation.discriminatorRate : settings.joint.discriminatorRate;
  const classifiers = headParameters(heads);
  return {
    reconstructionEncoder: phase1 ? adam('reconstruction.encoder', encoder.parameters, alpha) : null,
    reconstructionDecoder: phase1 ? adam('reconstruction.decoder', decoder.parameters, 1) : null,
    discriminator: discriminator ? adam('regularisation.discriminator', discriminator.parameters, discriminatorRate) : null,
    generator: inPhases && discriminator ? adam('regularisation.encoder', encoder.parameters, regularisation.encoderRate) : null,
    classificationEncoder: inPhases ? adam('classification.encoder', encoder.parameters, classificationWeight(settings)) : null,
    classificationHeads: inPhases ? adam('classification.heads', classifiers, settings.cnnLstm?.recurrentRate ?? 1) : null,
    joint: inPhases || isProgressive ? null : adam('joint', [...encoder.parameters, ...(decoder?.parameters ?? []), ...classifiers], 1),
    source: isProgressive ? adam('source', [...source.parameters, ...heads[sourceTaskOf(settings)]!.parameters], 1) : null,
    target: isProgressive ? adam('target', [...encoder.parameters, ...lateral.parameters, ...heads.emotion.parameters], 1) : null,
  };
}
