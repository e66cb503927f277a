/**
 * Finds problems of a training run and words them with a remedy. It looks at the labels of a view before a round, and at
 * the losses as they arrive. It reports each problem once, and again only after the problem has passed.
 *
 * Does not promise to find other problems: a model may learn nonsense with the best of losses.
 */
import { carriesTarget, genders } from '#contracts/labels.js';
import { headNames, type HeadName } from '#paper/losses.js';
import type { ModelSettings } from '#paper/settings.js';
import type { StepLosses } from '#paper/train-step.js';
import { mean } from '#evaluation/mean-deviation.js';
import { targetClassOf } from './head-labels.js';
import { isTrained, type TrainingView, type ViewUtterance } from '#index/training-index.js';

/** Number of reports that are averaged, because single losses vary a lot. */
const WINDOW = 20;
/** Eq. 4 has a floor because real labels are smoothed. This close to the floor, the discriminator is certain of nearly all samples. */
const WON_WITHIN = 0.04;
/** Share of samples that a winning discriminator classifies correctly. */
const WON_ACCURACY = 0.97;
/**
 * Limit of the encoder's loss -log D, which is 0.69 at even chances. Below it, the gradient still has a direction. The
 * printed form, log(1 - D), is never above 0, and its gradient vanishes as soon as the discriminator is certain.
 */
const LOST_ABOVE = 6;
/** Share of samples that a guessing discriminator classifies correctly, at most. */
const GUESSED_BELOW = 0.53;
/** Factor on the loss of a discriminator that gives every sample the same answer, the best it can do without looking. */
const GUESSED_SHARE = 0.99;
/** Reports in each of the two stretches that are compared. Losses of a few labelled tiles vary by a fifth. */
const STRETCH = 60;
/** A loss must fall by this share from one stretch to the next to count as falling. */
const LEAST_FALL = 0.01;
/** Factor on ln K, the loss of a head that always gives the same answer. */
const CHANCE_SHARE = 0.98;

/** Reports classes and heads for which no training utterance has a label. */
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
      `No training utterance is ${noGender.join(' or ')}: the gender head learns nothing useful. Turn it off with auxiliary.gender: false.`,
    );
  const speakers = new Set(trained.flatMap(({ speakerId }) => speakerId ?? []));
  if (settings.auxiliary.speaker && speakers.size < 2)
    findings.push(
      `Only ${speakers.size} training speakers are known, so the speaker head learns nothing. Turn it off with auxiliary.speaker: false.`,
    );
  return findings;
}

function emotionFindings(utterances: readonly ViewUtterance[], settings: ModelSettings): string[] {
  const { target, tasks } = settings;
  const isClusters = target === 'clusters-3' || target === 'clusters-5'; // the clusters are fitted to the labels, so none is empty
  const labelled = utterances.filter((utterance) =>
    isClusters ? carriesTarget(utterance.labels, target) : targetClassOf(utterance, settings, null) >= 0,
  );
  if (labelled.length === 0)
    return [`No training utterance has ${wantedLabel[target]}: the emotion head learns nothing. Add labels, for example in manifest.csv.`];
  if (isClusters) return [];
  const present = new Set(labelled.map((utterance) => targetClassOf(utterance, settings, null)));
  const missing = tasks.emotion.filter((_, index) => !present.has(index));
  return missing.length === 0
    ? []
    : [`No training utterance is ${missing.join(' or ')}: the model will never predict it. Add labelled utterances of it.`];
}

const wantedLabel: Record<ModelSettings['target'], string> = {
  emotion: 'an emotion',
  activation: 'an activation',
  valence: 'a valence',
  'clusters-3': 'both activation and valence',
  'clusters-5': 'both activation and valence',
};

/** The finding that a run reports after it went back. */
export function divergenceFinding({ step, rateScale }: { step: number; rateScale: number }): string {
  const place = step === 0 ? 'to its beginning' : `to step ${step}`;
  const rate = rateScale === 1 ? 'at the same rate' : `with ${Number(rateScale.toPrecision(3))} of learningRate`;
  return `The model diverged: a loss was no longer a number. The run went back ${place} and continues ${rate}. If it diverges again, lower learningRate in the model's settings.`;
}

export class LossWatch {
  private readonly recent: StepLosses[] = [];
  /** The current problems. */
  complaints: ReadonlySet<string> = new Set();

  /** @param classes number of classes of each head */
  constructor(
    private readonly classes: Record<HeadName, number>,
    private readonly regularisation: Pick<ModelSettings['regularisation'], 'realLabel' | 'generatorLoss'>,
  ) {}

  static of({ tasks, regularisation }: ModelSettings, speakers: number): LossWatch {
    return new LossWatch({ emotion: tasks.emotion.length, gender: tasks.gender.length, speaker: speakers }, regularisation);
  }

  /** @returns the problems that are new since the last report */
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
        'The discriminator has won, so the encoder no longer learns from it. Lower its rate (regularisation.discriminatorRate, joint.discriminatorRate).',
      ];
    if (accuracy < GUESSED_BELOW && discriminator > GUESSED_SHARE * entropy(realLabel / 2))
      return [
        'The discriminator has collapsed: it guesses, so the encoder learns nothing from it. Early in a run this passes. If it stays, raise its rate (regularisation.discriminatorRate, joint.discriminatorRate).',
      ];
    return [];
  }

  private ofHeads(): string[] {
    return headNames.flatMap((task) => {
      const loss = this.mean(task);
      const classes = this.classes[task];
      if (loss === null || classes < 2 || loss < CHANCE_SHARE * Math.log(classes)) return [];
      return [
        `The ${task} head is at chance: it learns nothing. Early in a run this passes. If it stays, check its labels, then learningRate.`,
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
      `Learning has stalled: in the last ${2 * STRETCH} reports no loss fell by 1 %. If the dev scores are good, the run is done. If not, raise learningRate, or add more or other data.`,
    ];
  }

  private mean(name: keyof StepLosses): number | null {
    return meanOf(this.recent.slice(-WINDOW), name);
  }
}

/** -p ln p - (1 - p) ln(1 - p): the lowest cross-entropy for a target p. */
function entropy(p: number): number {
  return [p, 1 - p].reduce((sum, share) => (share > 0 ? sum - share * Math.log(share) : sum), 0);
}

/** @returns null if most reports lack the loss */
function meanOf(reports: readonly StepLosses[], name: keyof StepLosses): number | null {
  const values = reports.flatMap((losses) => losses[name] ?? []);
  return values.length < reports.length / 2 ? null : mean(values);
}
