/**
 * Records the split of each speaker of a small corpus in `state/speakers/<corpus>.json`, so that no speaker ever moves when
 * others arrive (place-speakers.ts has the rule). The object holds digests, not names, because it outlives an erased speaker.
 *
 * A speaker whose records already have the split of its hash keeps it. So nothing moves in an installation that is older than
 * this rule, and no speaker moves when it gets its first label. Once a corpus had more speakers than the rule is for, the register is closed: a hash places all later ones.
 *
 * Delivery: the object is written under the condition that it did not change since it was read. Of two instances that place
 * at once, one wins, and the other reads the winner's placement and keeps it.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Split, splits } from '#contracts/labels.js';
import { speakerSplitsKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { NamedSpeaker } from '#corpora/corpus-reader.js';
import { mostToPlace, placeSpeakers } from '#corpora/place-speakers.js';
import { hashedSplit } from '#corpora/splits.js';
import type { Objects } from '#storage/object-store.js';
import { findStateAndEtag } from './find-state.js';

const registerSchema = z.object({
  /** Digest of the speaker's id to its split. */
  splits: z.record(z.string(), z.enum(splits)),
  closed: z.boolean(),
});
type Register = z.infer<typeof registerSchema>;

/** Tries to write. Another instance must win each of them. */
const triesOfWriting = 10;

export class SpeakerRegister {
  constructor(
    private readonly store: Pick<Objects, 'find' | 'put'>,
    /** Splits that the records of a corpus give its speakers now. */
    private readonly recordedSplitsOf: (corpus: string) => ReadonlyMap<string, Split> = () => new Map(),
  ) {}

  /**
   * @param roster speakers that the annotations name
   * @param named splits from corpus.json; they win
   * @returns splits of all speakers that have one, by the corpus's own ids
   * @throws PipelineError STORAGE_UNAVAILABLE
   */
  async place(corpus: string, roster: readonly NamedSpeaker[], named: ReadonlyMap<string, Split>): Promise<Map<string, Split>> {
    if (roster.length === 0) return new Map(named);
    const key = speakerSplitsKey(corpus);
    for (let tries = 1; tries <= triesOfWriting; tries++) {
      const found = await findStateAndEtag(this.store, key, registerSchema);
      const before: Register = found?.state ?? { splits: {}, closed: false };
      const { register, splitOf } = this.extend(before, { corpus, roster, named });
      const json = JSON.stringify(register);
      if (found?.state && json === JSON.stringify(before)) return splitOf;
      const written = await this.store.put(key, json, { onlyIf: found ? { etag: found.etag } : 'absent', contentType: 'application/json' });
      if (written !== null) return splitOf;
    }
    throw new PipelineError(
      'STORAGE_UNAVAILABLE',
      `Other instances of ingest changed ${key} ${triesOfWriting} times while this one placed speakers. It tries again`,
      { context: { key } },
    );
  }

  private extend(
    before: Register,
    given: { corpus: string; roster: readonly NamedSpeaker[]; named: ReadonlyMap<string, Split> },
  ): { register: Register; splitOf: Map<string, Split> } {
    const { corpus, roster, named } = given;
    const ids = roster.map(({ speakerId }) => speakerId);
    const splitOf = new Map([...this.recordedSplitsOf(corpus)].filter(([id, split]) => split === hashedSplit(corpus, id)));
    for (const id of ids) {
      const registered = before.splits[digestOf(id)];
      if (registered) splitOf.set(id, registered);
    }
    // A split that the owner names may be taken back, so the register does not hold it. It counts for the numbers.
    const chosen = new Map(roster.flatMap(({ speakerId, split }) => (split ? [[speakerId, split] as const] : [])));
    for (const [id, split] of named) chosen.set(id, split);
    const known = new Map([...splitOf, ...chosen]);
    const digests = new Set([...known.keys(), ...ids].map(digestOf));
    // Speakers that the annotations no longer name count too: they may come back.
    for (const [digest, split] of Object.entries(before.splits)) if (!digests.has(digest)) known.set(digest, split);
    const isClosed = before.closed || new Set([...known.keys(), ...ids]).size > mostToPlace;
    const placed = isClosed ? [] : placeSpeakers(corpus, roster, known);
    for (const [id, split] of placed) splitOf.set(id, split);
    const splits = { ...before.splits };
    for (const id of isClosed ? [] : ids) {
      const split = splitOf.get(id);
      if (split && !chosen.has(id)) splits[digestOf(id)] = split;
    }
    return { register: { splits, closed: isClosed }, splitOf: new Map([...splitOf, ...chosen]) };
  }
}

const digestOf = (speakerId: string): string => createHash('sha256').update(speakerId).digest('hex').slice(0, 16);
