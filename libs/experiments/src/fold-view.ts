/**
 * Splits one fold into train, dev and test. The training view holds train and dev. Test is kept apart, so that neither early
 * stopping nor the search for alpha can use it.
 *
 * A model can only identify speakers that it has learnt. If any row has the speaker task, a tenth of the training speakers'
 * utterances (chosen by hash) is withheld from all rows, and the speaker task is scored on it.
 */
import { createHash, hash } from 'node:crypto';
import { canonicalJson } from '#audio/feature-settings.js';
import { isWithheld } from '#corpora/splits.js';
import { type TrainingView, viewOf, type ViewUtterance } from '#index/training-index.js';
import { rotated } from './assign-folds.js';
import type { ExperimentData } from './experiment-data.js';
import type { ExperimentFile } from './experiment-file.js';

export interface FoldView {
  /** Train, dev and withheld utterances. */
  training: TrainingView;
  /** Utterances of the test fold, or of the test corpus. */
  test: ViewUtterance[];
  /** Digest of versions, labels and splits of all utterances. */
  digest: string;
}

/** If folds share speakers, dev speakers get other ids, because the trainer refuses a speaker in both train and dev. */
const asOther = (speakerId: string): string => `${speakerId} (dev)`;

/** @param point of the sweep; null without a sweep */
export function foldView(file: ExperimentFile, data: ExperimentData, { fold, point }: { fold: number; point: number | null }): FoldView {
  const { count, by } = file.folds;
  const parts = rotated(fold, count);
  const withholds = file.rows.some(({ auxiliary, task }) => auxiliary.includes('speaker') || task === 'speaker');
  const train = (utterance: ViewUtterance): ViewUtterance => ({
    ...utterance,
    split: 'train',
    withheld: withholds && isWithheld('train', utterance.labels.speakerId, utterance.utteranceId),
  });
  const dev = (utterance: ViewUtterance): ViewUtterance => {
    const { speakerId = '' } = utterance.labels;
    const labels = { ...utterance.labels, speakerId: by === 'utterance' ? asOther(speakerId) : speakerId };
    return { ...utterance, split: 'dev', withheld: false, labels };
  };
  const learnt: ViewUtterance[] = [];
  const checked: ViewUtterance[] = [];
  const tested: ViewUtterance[] = [];
  for (const utterance of data.primary) {
    const own = data.foldOf.get(utterance.utteranceId);
    if (own === parts.dev) checked.push(dev(utterance));
    else if (own === parts.test && !data.test) tested.push({ ...utterance, split: 'test', withheld: false });
    else learnt.push(train(utterance));
  }
  const others = data.unlabelled
    .filter(({ fold: own }) => own !== parts.dev && (own !== parts.test || data.test !== null))
    .map(({ utterance }) => train(utterance));
  const [labelShare, speakers] = [
    file.sweep?.over === 'label-share' ? point : null,
    file.sweep?.over === 'auxiliary-speakers' ? point : null,
  ];
  const primary = labelShare === null ? learnt : keepLabels(learnt, labelShare);
  const auxiliary = (speakers === null ? data.auxiliary : ofFirstSpeakers(data.auxiliary, speakers)).map(train);
  const utterances = [...primary, ...others, ...checked, ...auxiliary].sort(byId);
  const test = data.test ? data.test.map((utterance) => ({ ...utterance, split: 'test' as const, withheld: false })) : tested;
  return {
    training: viewOf(data.view.settingsHash, utterances, data.view),
    test,
    digest: digestOf(data.view.settings, [...utterances, ...test]),
  };
}

/** Sorts speakers by hash, with women and men by turns. The first n speakers are therefore a subset of the first n + 1. */
export function speakersInOrder(utterances: readonly ViewUtterance[]): string[] {
  const genderOf = new Map(utterances.flatMap(({ labels }) => (labels.speakerId === undefined ? [] : [[labels.speakerId, labels.gender]])));
  const byHash = [...genderOf].sort(([a], [b]) => (orderOf(a) < orderOf(b) ? -1 : 1));
  const ranks = new Map<unknown, number>();
  return byHash
    .map(([speakerId, gender]) => {
      const rank = ranks.get(gender) ?? 0;
      ranks.set(gender, rank + 1);
      return { speakerId, rank };
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ speakerId }) => speakerId);
}

function ofFirstSpeakers(utterances: ViewUtterance[], count: number): ViewUtterance[] {
  const kept = new Set(speakersInOrder(utterances).slice(0, count));
  return utterances.filter(({ labels }) => kept.has(labels.speakerId ?? ''));
}

/** Keeps the emotion labels of the same share of each category. A smaller share is a subset of a larger one. */
function keepLabels(utterances: ViewUtterance[], share: number): ViewUtterance[] {
  const kept = new Set<string>();
  for (const [, own] of Map.groupBy(utterances, ({ labels }) => labels.category)) {
    const inOrder = own.map(({ utteranceId }) => utteranceId).sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
    for (const utteranceId of inOrder.slice(0, Math.ceil(share * own.length))) kept.add(utteranceId);
  }
  return utterances.map((utterance) => {
    if (kept.has(utterance.utteranceId)) return utterance;
    const { speakerId, gender, session } = utterance.labels;
    return { ...utterance, labels: { speakerId, gender, session } };
  });
}

const orderOf = (name: string): string => hash('sha256', `order/${name}`);
const byId = (a: ViewUtterance, b: ViewUtterance): number => (a.utteranceId < b.utteranceId ? -1 : 1);

/** The digest covers versions and settings, which decide the tiles. The shard that holds a tile does not matter. */
function digestOf(settings: TrainingView['settings'], utterances: readonly ViewUtterance[]): string {
  const digest = createHash('sha256').update(canonicalJson(settings));
  for (const { utteranceId, version, split, withheld, labels } of utterances) {
    const { speakerId, gender, category, activation, valence } = labels;
    digest.update(JSON.stringify([utteranceId, version, split, withheld, speakerId, gender, category, activation, valence]));
  }
  return digest.digest('hex');
}
