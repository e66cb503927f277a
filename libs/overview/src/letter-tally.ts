/**
 * Dead letters as the overview keeps them: counts by stage, code and corpus, and the newest 200 letters without bodies.
 *
 * Each letter counts once by stage, utterance (else object, else place), version and code, however often it comes. For that
 * the tally keeps a digest of each distinct letter: about 70 bytes a letter in memory, so 70 MB for a million.
 */
import { createHash } from 'node:crypto';
import { deadLetterIdentity, type DeadLetter } from '#contracts/dead-letters.js';
import { corpusOf, parseCorpusKey } from '#contracts/object-keys.js';

/** A letter without the record that it is about. */
export interface KeptLetter extends Pick<DeadLetter, 'stage' | 'code' | 'message' | 'objectKey' | 'utteranceId' | 'version' | 'failedAt'> {
  /** Names the input: its object, else its utterance, else the place of its record. */
  subject: string;
}

export interface LetterGroup extends Pick<DeadLetter, 'stage' | 'code'> {
  /** Null where the letters are about no corpus. */
  corpus: string | null;
  count: number;
  /** Of the letter that came last. */
  latestAt: string;
  latestSubject: string;
}

const keptLetters = 200;
/** A further corpus is counted as none: names of corpora come from outside. */
const mostGroups = 5_000;
const keptChars = 1_200;

export class LetterTally {
  total = 0;
  /** Letters about no utterance. */
  withoutUtterance = 0;
  private readonly digests = new Set<string>();
  private readonly byCode = new Map<string, number>();
  private readonly groups = new Map<string, LetterGroup>();
  private readonly newest = new Map<string, KeptLetter>();

  /** @returns whether the letter is a new one */
  apply(letter: DeadLetter): boolean {
    const digest = letterDigest(letter);
    const isNew = !this.digests.has(digest);
    this.keep(digest, letter);
    const group = this.groupOf(letter);
    group.latestAt = letter.failedAt;
    group.latestSubject = cut(subjectOf(letter));
    if (!isNew) return false;
    this.digests.add(digest);
    this.total++;
    group.count++;
    if (letter.utteranceId === undefined) this.withoutUtterance++;
    this.byCode.set(letter.code, (this.byCode.get(letter.code) ?? 0) + 1);
    return true;
  }

  /** The newest letters, the oldest of them first. */
  get kept(): KeptLetter[] {
    return [...this.newest.values()];
  }

  get countsByCode(): Record<string, number> {
    return Object.fromEntries(this.byCode);
  }

  /** The largest groups first. */
  largestGroups(most: number): LetterGroup[] {
    return [...this.groups.values()].sort((a, b) => b.count - a.count).slice(0, most);
  }

  private keep(digest: string, letter: DeadLetter): void {
    this.newest.delete(digest);
    this.newest.set(digest, withoutBody(letter));
    const [oldest] = this.newest.keys();
    if (this.newest.size > keptLetters && oldest !== undefined) this.newest.delete(oldest);
  }

  private groupOf(letter: DeadLetter): LetterGroup {
    const { stage, code } = letter;
    const known = corpusOfLetter(letter);
    const name = (corpus: string | null): string => `${stage}/${code}/${corpus ?? ''}`;
    const corpus = known !== null && !this.groups.has(name(known)) && this.groups.size >= mostGroups ? null : known;
    let group = this.groups.get(name(corpus));
    if (!group) this.groups.set(name(corpus), (group = { stage, code, corpus, count: 0, latestAt: letter.failedAt, latestSubject: '' }));
    return group;
  }
}

/** Twelve bytes as text of twelve characters. Two letters of a million share one with a chance of 1 in 10^17. */
export function letterDigest(letter: DeadLetter): string {
  return createHash('sha256').update(deadLetterIdentity(letter)).digest().toString('latin1', 0, 12);
}

export function subjectOf(letter: Pick<DeadLetter, 'objectKey' | 'utteranceId' | 'origin'>): string {
  return letter.objectKey ?? letter.utteranceId ?? `${letter.origin.topic}/${letter.origin.partition}/${letter.origin.offset}`;
}

export function corpusOfLetter({ utteranceId, objectKey }: Pick<DeadLetter, 'objectKey' | 'utteranceId'>): string | null {
  const named = utteranceId === undefined ? '' : corpusOf(utteranceId);
  if (named !== '') return cut(named);
  const place = objectKey === undefined ? null : parseCorpusKey(objectKey);
  return place && cut(place.corpus);
}

function withoutBody(letter: DeadLetter): KeptLetter {
  const { stage, code, message, objectKey, utteranceId, version, failedAt } = letter;
  return {
    stage,
    code,
    message: cut(message),
    objectKey: objectKey === undefined ? undefined : cut(objectKey),
    utteranceId: utteranceId === undefined ? undefined : cut(utteranceId),
    version: version === undefined ? undefined : cut(version),
    failedAt,
    subject: cut(subjectOf(letter)),
  };
}

/** A copy: a part of a string keeps the whole of it in memory. */
export function cut(text: string): string {
  return text.length <= keptChars ? text : `${Buffer.from(text.slice(0, keptChars)).toString()}…`;
}
