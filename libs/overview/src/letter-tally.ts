/**
 * Keeps the overview's dead letters: counts by stage, code and corpus, and the newest 200 letters without bodies.
 *
 * Letters with the same stage, subject, version and code count once. The subject is the utterance, else the object, else the
 * position of the record. The tally keeps a digest of each distinct letter, about 70 bytes, so 70 MB for a million letters.
 */
import { createHash } from 'node:crypto';
import { deadLetterIdentity, type DeadLetter } from '#contracts/dead-letters.js';
import { corpusOf, parseCorpusKey } from '#contracts/object-keys.js';

/** A letter without the record that it is about. */
export interface KeptLetter extends Pick<DeadLetter, 'stage' | 'code' | 'message' | 'objectKey' | 'utteranceId' | 'version' | 'failedAt'> {
  /** Names the input: its object, else its utterance, else the position of its record (topic, partition, offset). */
  subject: string;
}

export interface LetterGroup extends Pick<DeadLetter, 'stage' | 'code'> {
  /** Null if the letters concern no corpus. */
  corpus: string | null;
  count: number;
  /** The subject of the latest letter. */
  latestAt: string;
  latestSubject: string;
}

const keptLetters = 200;
/** Further corpora are counted under null, because outside input chooses corpus names and could create any number. */
const mostGroups = 5_000;
const keptChars = 1_200;

export class LetterTally {
  total = 0;
  /** Number of letters without an utterance. */
  withoutUtterance = 0;
  private readonly digests = new Set<string>();
  private readonly byCode = new Map<string, number>();
  private readonly groups = new Map<string, LetterGroup>();
  private readonly newest = new Map<string, KeptLetter>();

  /** @returns true if the letter is new */
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

  /** The newest letters, oldest first. */
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

/** A digest of twelve bytes as text of twelve characters. The chance that two of a million letters collide is 1 in 10^17. */
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

/** Copies the text, because a substring keeps the whole string in memory. */
export function cut(text: string): string {
  return text.length <= keptChars ? text : `${Buffer.from(text.slice(0, keptChars)).toString()}…`;
}
