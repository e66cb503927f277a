/**
 * Tracks corpora whose annotations ingest cannot use: the reason, the time, and the number of recordings that wait.
 *
 * A recording is refused from the dead letter about its annotations until a later record of it is ingested. No topic records
 * that a corpus was repaired if no recording changes. Such a refusal is shown for one day.
 */
import type { DeadLetter } from '#contracts/dead-letters.js';
import { corpusOf } from '#contracts/object-keys.js';
import { cut, subjectOf } from './letter-tally.js';
import type { CorpusRefusal } from './overview-snapshot.js';
import type { TrackedUtterance } from './tracked-utterance.js';

interface Refused extends Omit<CorpusRefusal, 'recordings'> {
  /** Number of refused recordings that are not alive. */
  waiting: number;
  /** Number of refused recordings that are alive with older annotations. */
  outdated: number;
  /** Time of the latest letter about a file of the corpus that is not a recording. */
  fileAt: string | null;
}

const annotationCodes: readonly string[] = ['MANIFEST_INVALID', 'CORPUS_OPTIONS_INVALID'];
const shownForMs = 24 * 3_600_000;

export const isAboutAnnotations = ({ stage, code }: Pick<DeadLetter, 'stage' | 'code'>): boolean =>
  stage === 'ingest' && annotationCodes.includes(code);

export class CorpusRefusals {
  private readonly byCorpus = new Map<string, Refused>();
  private readonly newestIngest = new Map<string, string>();

  /** Call this before the letter counts for its utterance. */
  apply(letter: DeadLetter, corpus: string): void {
    const { code, message, failedAt } = letter;
    const before = this.byCorpus.get(corpus);
    const isOpen = before !== undefined && (before.waiting + before.outdated > 0 || this.isFileRefused(before));
    const refused: Refused = before ?? { ...blank, corpus, since: failedAt };
    this.byCorpus.set(corpus, refused);
    if (!isOpen) refused.since = failedAt;
    if (letter.utteranceId === undefined && failedAt > (refused.fileAt ?? '')) refused.fileAt = failedAt;
    if (failedAt < refused.latestAt) return;
    Object.assign(refused, { code, message: cut(message), key: cut(subjectOf(letter)), latestAt: failedAt });
  }

  ingested(corpus: string, at: string): void {
    if (at > (this.newestIngest.get(corpus) ?? '')) this.newestIngest.set(corpus, at);
  }

  /** Adds an utterance to its corpus, or subtracts it before it changes. */
  count({ fact, utteranceId, annotationsRefusedAt }: TrackedUtterance, sign: 1 | -1): void {
    if (annotationsRefusedAt === null) return;
    const refused = this.byCorpus.get(cut(corpusOf(utteranceId)));
    if (!refused) return;
    if (!fact) refused.waiting += sign;
    else if (fact.ingestedAt < annotationsRefusedAt) refused.outdated += sign;
  }

  /** Sorted by the time of refusal, oldest first. */
  open(nowMs = Date.now()): CorpusRefusal[] {
    const shownFrom = new Date(nowMs - shownForMs).toISOString();
    return [...this.byCorpus.values()]
      .filter((each) => each.waiting > 0 || ((each.outdated > 0 || this.isFileRefused(each)) && each.latestAt > shownFrom))
      .sort((a, b) => (a.since < b.since ? -1 : 1))
      .map(({ corpus, code, message, key, since, latestAt, waiting, outdated }) => {
        return { corpus, code, message, key, since, latestAt, recordings: waiting + outdated };
      });
  }

  private isFileRefused({ corpus, fileAt }: Refused): boolean {
    return fileAt !== null && fileAt > (this.newestIngest.get(corpus) ?? '');
  }
}

const blank = { code: '', message: '', key: '', latestAt: '', waiting: 0, outdated: 0, fileAt: null };
