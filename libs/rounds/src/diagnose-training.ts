/**
 * What is wrong with a training run, in words and with what to do. Two sources: the labels of a view, before a round, and
 * the losses as they come. Each complaint is made once, until what it is about has passed.
 *
 * Does not promise to find anything else: a model may learn nonsense with the best of losses.
 */
import { carriesTarget, genders } from '#contracts/labels.js';
import { headNames, type HeadName } from '#paper/losses.js';
import type { ModelSettings } from '#paper/settings.js';
import type { StepLosses } from '#paper/train-step.js';
import { targetClassOf } from './head-labels.js';
import { isTrained, type TrainingView, type ViewUtterance } from '#index/training-index.js';

/** Reports over which losses are averaged: single ones jump about. */
const WINDOW = 20;
/** Eq. 4 has a floor, since real labels are smoothed; so near to it the discriminator is certain of nearly all. */
const WON_WITHIN = 0.04;
/** And tells so many of its samples apart. */
const WON_ACCURACY = 0.97;
/**
 * The encoder's side of it, -log D, which is 0.69 at even chances: below this its gradient still points somewhere. The
 * printed form, log(1 - D), is never above 0, and its gradient is gone as soon as the discriminator is certain.
 */
const LOST_ABOVE = 6;
/** Of its samples, told apart by a discriminator that guesses. */
const GUESSED_BELOW = 0.53;
/** Of the loss of one that gives every sample the same answer, the best it can without looking. */
const GUESSED_SHARE = 0.99;
/** Reports in each of two stretches that are compared: single losses of a few labelled tiles differ by a fifth. */
const STRETCH = 60;
/** A loss that fell by less from one stretch to the next has not fallen. */
const LEAST_FALL = 0.01;
/** Of ln K, the loss of a head that always says the same. */
const CHANCE_SHARE = 0.98;

/** Classes and heads that no training utterance speaks of. */
export function labelFindings(view: TrainingView, settings: ModelSettings): string[] {
  const utterances = view.utterances.filter(isTrained);
  const trained = utterances.map(({ labels }) => labels);
  const findings: string[] = [];
  const missing = (known: readonly string[], present: (string | undefined)[]) => known.filter((name) => !present.includes(name));
  findings.push(...emotionFindings(utterances, settings));
  const noGender = missing(
    genders,
    trained.map(({ gender }) => gender),
  );
  if (settings.auxiliary.gender && noGender.length > 0)
    findings.push(
      `No training utterance is ${noGender.join(' or ')}: the gender head learns nothing of use. Leave it out by auxiliary.gender: false.`,
    );
  const speakers = new Set(trained.flatMap(({ speakerId }) => speakerId ?? []));
  if (settings.auxiliary.speaker && speakers.size < 2)
    findings.push(
      `${speakers.size} training speakers are known: the speaker head learns nothing. Leave it out by auxiliary.speaker: false.`,
    );
  return findings;
}

function emotionFindings(utterances: readonly ViewUtterance[], settings: ModelSettings): string[] {
  const { target, tasks } = settings;
  const labelled = utterances.filter(({ labels }) => carriesTarget(labels, target));
  if (labelled.length === 0)
    return [`No training utterance has ${wantedLabel[target]}: the emotion head learns nothing. Add labels, for example in manifest.csv.`];
  if (target === 'clusters-3' || target === 'clusters-5') return []; // fitted to the labels, none is without
  const present = new Set(labelled.map((utterance) => targetClassOf(utterance, settings, null)));
  const missing = tasks.emotion.filter((_, index) => !present.has(index));
  return missing.length === 0 ? [] : [`No training utterance is ${missing.join(' or ')}: the model will never answer that.`];
}

const wantedLabel: Record<ModelSettings['target'], string> = {
  emotion: 'an emotion',
  activation: 'an activation',
  valence: 'a valence',
  'clusters-3': 'both activation and valence',
  'clusters-5': 'both activation and valence',
};

/** What a run says once it has gone back. */
export function divergenceFinding({ step, rateScale }: { step: number; rateScale: number }): string {
  const place = step === 0 ? 'to its beginning' : `to step ${step}`;
  const rate = rateScale === 1 ? 'at the same rate' : `with ${Number(rateScale.toPrecision(3))} of learningRate`;
  return `The model diverged: a loss was no longer a number. The run went back ${place}, and goes on ${rate}. If it diverges again, lower learningRate in the model's settings.`;
}

export class LossWatch {
  private readonly recent: StepLosses[] = [];
  /** What is wrong now. */
  complaints: ReadonlySet<string> = new Set();

  /** @param classes of each head */
  constructor(
    private readonly classes: Record<HeadName, number>,
    private readonly regularisation: Pick<ModelSettings['regularisation'], 'realLabel' | 'generatorLoss'>,
  ) {}

  static of({ tasks, regularisation }: ModelSettings, speakers: number): LossWatch {
    return new LossWatch({ emotion: tasks.emotion.length, gender: tasks.gender.length, speaker: speakers }, regularisation);
  }

  /** @returns what is wrong now and was not at the last report */
  observe(losses: StepLosses): string[] {
    this.recent.push(losses);
    if (this.recent.length < WINDOW) return [];
    if (this.recent.length > 2 * STRETCH) this.recent.shift();
    const now = new Set([...this.ofDiscriminator(), ...this.ofHeads(), ...this.ofAll()]);
    const fresh = [...now].filter((complaint) => !this.complaints.has(complaint));
    this.complaints = now;
    return fresh;
  }

  private ofDiscriminator(): string[] {
    const [discriminator, generator] = [this.mean('discriminator'), this.mean('generator')];
    const accuracy = this.mean('discriminatorAccuracy');
    if (discriminator === null || generator === null || accuracy === null) return [];
    const { realLabel, generatorLoss } = this.regularisation;
    const isCertain = accuracy > WON_ACCURACY && discriminator < entropy(realLabel) / 2 + WON_WITHIN;
    if (isCertain && (generatorLoss === 'literal' || generator > LOST_ABOVE))
      return [
        'The discriminator has won: the encoder learns nothing from it any more. Lower its rate (regularisation.discriminatorRate, joint.discriminatorRate).',
      ];
    if (accuracy < GUESSED_BELOW && discriminator > GUESSED_SHARE * entropy(realLabel / 2))
      return [
        'The discriminator has collapsed: it guesses, so that the encoder learns nothing from it. Early on that passes; if it stays, raise its rate (regularisation.discriminatorRate, joint.discriminatorRate).',
      ];
    return [];
  }

  private ofHeads(): string[] {
    return headNames.flatMap((task) => {
      const loss = this.mean(task);
      const classes = this.classes[task];
      if (loss === null || classes < 2 || loss < CHANCE_SHARE * Math.log(classes)) return [];
      return [
        `The ${task} head is at chance: nothing is learnt of it. Early on that passes; if it stays, look at its labels, then at learningRate.`,
      ];
    });
  }

  private ofAll(): string[] {
    if (this.recent.length < 2 * STRETCH) return [];
    const learnt = ['reconstruction', ...headNames] as const;
    const falls = learnt.flatMap((name) => {
      const [before, now] = [meanOf(this.recent.slice(0, STRETCH), name), meanOf(this.recent.slice(-STRETCH), name)];
      return before === null || now === null ? [] : [(before - now) / before];
    });
    if (falls.length === 0 || falls.some((fall) => fall > LEAST_FALL)) return [];
    return [
      `Learning has stalled: in the last ${2 * STRETCH} reports no loss fell by a hundredth. If the scores on dev are good, it is done; else raise learningRate, or give it more or other data.`,
    ];
  }

  private mean(name: keyof StepLosses): number | null {
    return meanOf(this.recent.slice(-WINDOW), name);
  }
}

/** -p ln p - (1 - p) ln(1 - p): the least cross-entropy of a target p. */
function entropy(p: number): number {
  return [p, 1 - p].reduce((sum, share) => (share > 0 ? sum - share * Math.log(share) : sum), 0);
}

/** @returns null where most reports lack it */
function meanOf(reports: readonly StepLosses[], name: keyof StepLosses): number | null {
  const values = reports.flatMap((losses) => losses[name] ?? []);
  return values.length < reports.length / 2 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
