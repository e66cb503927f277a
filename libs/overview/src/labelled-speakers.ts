/** Counts the speakers with labelled utterances, by corpus and split. A promotion needs enough of them in dev. */
import { streamOf, type Split } from '#contracts/labels.js';
import type { UtteranceIngested } from '#contracts/utterances.js';

export type SpeakerCounts = Record<Split, number>;

export class LabelledSpeakers {
  /** Labelled utterances of each speaker, by corpus and split. */
  private readonly corpora = new Map<string, Record<Split, Map<string, number>>>();

  count({ corpus, split, labels }: UtteranceIngested, sign: 1 | -1): void {
    if (labels.speakerId === undefined || streamOf(labels) === 'unlabelled') return;
    const splits = this.corpora.get(corpus) ?? { train: new Map(), dev: new Map(), test: new Map() };
    const utterances = (splits[split].get(labels.speakerId) ?? 0) + sign;
    if (utterances === 0) splits[split].delete(labels.speakerId);
    else splits[split].set(labels.speakerId, utterances);
    if (Object.values(splits).every(({ size }) => size === 0)) this.corpora.delete(corpus);
    else this.corpora.set(corpus, splits);
  }

  get byCorpus(): Record<string, SpeakerCounts> {
    return Object.fromEntries(
      [...this.corpora].map(([corpus, { train, dev, test }]) => [corpus, { train: train.size, dev: dev.size, test: test.size }]),
    );
  }
}
