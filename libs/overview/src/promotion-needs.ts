/** Says in plain words why nothing can be promoted, before a round has been trained in vain. */
import { corpusKey } from '#contracts/object-keys.js';
import { fewestSpeakers } from '#evaluation/bootstrap.js';
import type { SpeakerCounts } from './labelled-speakers.js';

/** Most corpora that the sentence names. */
const mostCorpora = 4;

/** @returns null if a promotion is possible, or if nothing is labelled yet */
export function whyNothingCanBePromoted(labelledSpeakers: Record<string, SpeakerCounts>): string | null {
  const corpora = Object.entries(labelledSpeakers).sort(([, a], [, b]) => speakersOf(b) - speakersOf(a));
  const [largest] = corpora;
  const dev = corpora.reduce((sum, [, counts]) => sum + counts.dev, 0);
  if (!largest || dev >= fewestSpeakers) return null;
  const named = corpora.slice(0, mostCorpora).map(([corpus, counts]) => `${corpus} has ${counts.dev} of ${speakersOf(counts)}`);
  const more = corpora.length > mostCorpora ? ', …' : '';
  const [corpus] = largest;
  return (
    `Nothing can be promoted: the decision needs ${fewestSpeakers} dev speakers with labels, and there are ${dev} (${named.join(', ')}${more}). ` +
    `Add labelled recordings of more speakers, or name dev speakers in ${corpusKey(corpus, 'corpus.json')}, as {"splits": {"dev": ["…"]}}.`
  );
}

const speakersOf = ({ train, dev, test }: SpeakerCounts): number => train + dev + test;
