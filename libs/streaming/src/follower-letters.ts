/**
 * Writes a dead letter for each record that a follower skips. A follower reads its topics from the beginning at each start, and meets
 * the same bad records again. So it writes no letter before it has read the letters of earlier starts, and none for a record (topic,
 * partition, offset) that has one.
 *
 * Delivery: a letter that is lost does no harm, because the record comes again at the next start. A crash right after a letter was
 * written may write it twice if the follower has not read it back; readers count it once.
 */
import { deadLetters, type DeadLetter } from '#contracts/dead-letters.js';
import { topicName } from '#contracts/topic.js';
import type { DeadLetterOffice } from './dead-letter-office.js';
import type { PassedOverRecord } from './table-follower.js';

/** Most letters of one process, because a topic may be full of junk. */
const lettersAtMost = 100;
/** Skipped records of this size in all wait for `start`. Of those beyond, only the metric and the log tell. */
const pendingBytesAtMost = 32e6;
/** Positions of known letters that are remembered. Beyond them, a letter may be written again. */
const rememberedAtMost = 100_000;

export class FollowerLetters {
  private readonly known = new Set<string>();
  private pending: PassedOverRecord[] | null = [];
  private pendingBytes = 0;
  private written = 0;

  constructor(
    private readonly office: Pick<DeadLetterOffice, 'writeLetter' | 'stage'>,
    private readonly topicPrefix: string,
  ) {}

  /** Notes a letter that the follower has read. */
  note({ stage, origin }: DeadLetter): void {
    if (stage === this.office.stage && this.known.size < rememberedAtMost) this.known.add(placeOf(origin));
  }

  /** Writes the letter of a skipped record, or keeps it until `start`. */
  passedOver(passed: PassedOverRecord): void {
    // No letter about a letter: the same follower would read it again.
    if (passed.topic === topicName(deadLetters, this.topicPrefix)) return;
    if (!this.pending) return this.write(passed);
    this.pendingBytes += (passed.record.value?.byteLength ?? 0) + 1_000;
    if (this.pendingBytes <= pendingBytesAtMost) this.pending.push(passed);
  }

  /** Call it when the follower has read all that was in its topics. */
  start(): void {
    const { pending } = this;
    this.pending = null;
    for (const passed of pending ?? []) this.write(passed);
  }

  private write({ topic, record: { key, value, partition, offset }, error }: PassedOverRecord): void {
    const place = placeOf({ topic, partition, offset });
    if (this.known.has(place) || this.written >= lettersAtMost) return;
    this.written++;
    this.known.add(place);
    this.office
      .writeLetter({ topic, partition, offset, key: key === null ? null : Buffer.from(key), value }, {}, error)
      .catch(() => undefined);
  }
}

const placeOf = ({ topic, partition, offset }: Pick<DeadLetter['origin'], 'topic' | 'partition' | 'offset'>): string =>
  `${topic}/${partition}/${offset}`;
