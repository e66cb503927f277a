/**
 * The oracle of the fuzz suite. It follows the topics by itself, lists the bucket by itself, and says where they differ from what
 * must be:
 *
 * - each good recording lies in a shard that is in the store, in its current version, and has no dead letter;
 * - each other recording lies in a shard, or has one dead letter, and never both;
 * - each record, event and archive that must be refused has one letter of the stage that takes it, and at most one of any other;
 * - what the services had no business with is as it was.
 */
import type { Kafka } from 'kafkajs';
import { deadLetterIdentity, deadLetters, type DeadLetter, type Stage } from '#contracts/dead-letters.js';
import { corporaPrefix, parseCorpusKey, unpackedArchiveKey, utteranceIdOf } from '#contracts/object-keys.js';
import { shardsLabelled, shardsUnlabelled, type ShardSealed } from '#contracts/shards.js';
import { utterances, type UtteranceIngested } from '#contracts/utterances.js';
import { isArchivePath, isAudioPath } from '#corpora/audio-paths.js';
import { TableFollower } from '#streaming/table-follower.js';
import { silent } from '../chaos/stream-under-test.js';
import type { RunningPipeline } from '../integration/running-pipeline.js';
import type { Sent } from './raw-record.js';

/** Letters that a record is due. */
interface Owed {
  kind: string;
  /** How its letter is found: by where its record stands, or by words that its value holds. */
  of: Sent | { words: string };
  /** The stage that must write exactly one; null: no stage must. */
  by: Stage | null;
}

export class FuzzAccount {
  private readonly follower: TableFollower;
  private readonly records = new Map<string, UtteranceIngested>();
  private readonly shards = new Map<string, ShardSealed>();
  /** By identity and place: a letter that comes again is the same letter. */
  private readonly letters = new Map<string, DeadLetter>();
  private readonly owed: Owed[] = [];
  private readonly good = new Set<string>();
  private readonly codes = new Map<string, string>();
  private readonly untouchable = new Map<string, Buffer>();
  private readonly kindOfPath = new Map<string, string>();
  /** What a case itself saw that must not be. */
  readonly notes: string[] = [];

  constructor(
    kafka: Kafka,
    private readonly pipeline: RunningPipeline,
  ) {
    const onShard = (id: string, fact: ShardSealed | null): void => {
      if (fact) this.shards.set(id, fact);
      else this.shards.delete(id);
    };
    this.follower = new TableFollower(kafka, pipeline.prefix, 'fuzz', silent)
      .on(utterances, (id, fact) => {
        if (fact) this.records.set(id, fact);
        else this.records.delete(id);
      })
      .on(shardsLabelled, onShard)
      .on(shardsUnlabelled, onShard)
      .on(deadLetters, (_key, letter) => {
        // Forged letters are about other topics.
        if (letter?.origin.topic.startsWith(`${pipeline.prefix}.`))
          this.letters.set(`${deadLetterIdentity(letter)} ${placeOf(letter.origin)}`, letter);
      });
  }

  start(): Promise<void> {
    return this.follower.start();
  }
  stop(): Promise<void> {
    return this.follower.stop();
  }

  expectGood(utteranceId: string): void {
    this.good.add(utteranceId);
  }
  expectCode(utteranceId: string, code: string): void {
    this.codes.set(utteranceId, code);
  }
  /** Names, in messages, what an object or all objects of a corpus are. */
  describe(keyOrCorpus: string, kind: string): void {
    this.kindOfPath.set(keyOrCorpus, kind);
  }
  expectLetter(kind: string, of: Owed['of'], by: Stage | null): void {
    this.owed.push({ kind, of, by });
  }
  note(problem: string): void {
    this.notes.push(problem);
  }
  /** Puts an object that no service may change or delete. */
  async putUntouchable(key: string, bytes: Buffer): Promise<void> {
    await this.pipeline.store.put(key, bytes);
    this.untouchable.set(key, bytes);
  }

  /** A recording's current record. */
  recordOf(utteranceId: string): UtteranceIngested | undefined {
    return this.records.get(utteranceId);
  }
  get goodSoFar(): readonly string[] {
    return [...this.good];
  }
  get lettersByCode(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { code } of this.distinctLetters()) counts[code] = (counts[code] ?? 0) + 1;
    return counts;
  }

  /** Records of one recording that fail in one way have one letter. */
  private distinctLetters(): Iterable<DeadLetter> {
    return new Map([...this.letters.values()].map((letter) => [deadLetterIdentity(letter), letter])).values();
  }

  /** One sentence for each thing that is not as it must be. */
  async differences(): Promise<string[]> {
    return [...(await this.ofObjects()), ...this.ofRecords(), ...(await this.ofUntouchable())];
  }

  private async ofObjects(): Promise<string[]> {
    const found: string[] = [];
    const inShards = await this.utterancesInShards();
    const letters = Map.groupBy(this.distinctLetters(), ({ utteranceId, objectKey }) => utteranceId ?? objectKey ?? '');
    const missing = new Set(this.good);
    for await (const { key } of this.pipeline.store.list(corporaPrefix)) {
      const place = parseCorpusKey(key);
      if (!place) continue;
      const id = utteranceIdOf(place.corpus, place.path);
      missing.delete(id);
      const kind = this.kindOfPath.get(key) ?? this.kindOfPath.get(place.corpus) ?? 'a recording';
      if (isArchivePath(place.path)) {
        const count = letters.get(key)?.length ?? 0;
        const isUnpacked = (await this.pipeline.store.head(unpackedArchiveKey(key))) !== null;
        if (count > 1 || (count === 0 && !isUnpacked))
          found.push(`${kind} ${key} has ${count} dead letters, and is ${isUnpacked ? '' : 'not '}unpacked`);
        continue;
      }
      if (!isAudioPath(place.path)) continue;
      const own = letters.get(id) ?? [];
      const isInShard = inShards.has(`${id}@${this.records.get(id)?.version}`);
      const said = own.map(({ stage, code, version, message }) => `${stage} ${code} ${version ?? ''} ${message.slice(0, 100)}`).join('; ');
      if (this.good.has(id) && (own.length > 0 || !isInShard))
        found.push(`the good recording ${id} is ${isInShard ? '' : 'not '}in a shard: ${said}`);
      else if (own.length + Number(isInShard) !== 1)
        found.push(`${kind} ${id} is ${isInShard ? '' : 'not '}in a shard, and has ${own.length} dead letters: ${said}`);
      const code = this.codes.get(id);
      if (code !== undefined && own.some((letter) => letter.code !== code)) found.push(`${kind} ${id} is due a letter ${code}: ${said}`);
    }
    for (const id of missing) found.push(`the good recording ${id} is not in the bucket any more`);
    return found;
  }

  /** `<id>@<version>` of those whose shard lies in the store. */
  private async utterancesInShards(): Promise<Set<string>> {
    const present = new Set<string>();
    for await (const { key } of this.pipeline.store.list('shards/')) present.add(key);
    const shards = [...this.shards.values()].filter(({ objectKey }) => present.has(objectKey));
    return new Set(shards.flatMap((shard) => shard.utterances.map(({ utteranceId, version }) => `${utteranceId}@${version}`)));
  }

  private ofRecords(): string[] {
    const byPlace = Map.groupBy(this.letters.values(), ({ origin }) => placeOf(origin));
    return this.owed.flatMap(({ kind, of, by }) => {
      const letters =
        'words' in of
          ? [...this.letters.values()].filter(({ origin }) => Buffer.from(origin.valueBase64 ?? '', 'base64').includes(of.words))
          : (byPlace.get(placeOf(of)) ?? []);
      const counts = Map.groupBy(letters, ({ stage }) => stage);
      const tooMany = [...counts].filter(([, each]) => each.length > 1).map(([stage]) => stage);
      const place = 'words' in of ? of.words : placeOf(of);
      if (tooMany.length > 0) return [`${kind} at ${place} has several letters of ${tooMany.join(', ')}`];
      return by !== null && !counts.has(by) ? [`${kind} at ${place} has no letter of ${by}`] : [];
    });
  }

  private async ofUntouchable(): Promise<string[]> {
    const found: string[] = [];
    for (const [key, bytes] of this.untouchable) {
      const now = await this.pipeline.store.find(key);
      if (!now) found.push(`${key} was deleted`);
      else if (!bytes.equals(now.bytes)) found.push(`${key} was overwritten`);
    }
    return found;
  }
}

const placeOf = ({ topic, partition, offset }: { topic: string; partition: number; offset: string | bigint }): string =>
  `${topic}/${partition}/${offset}`;
