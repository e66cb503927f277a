/**
 * The utterance versions that a run has learnt from since its beginning, by round and shard. It tells fresh utterances from
 * replayed ones, keeps learnt ones from ever being scored as held out, and is the lineage of every model of the run.
 *
 * Each round that begins adds one part, `models/<run>/seen/<round>-<sha256>.json.gz`, with the versions that no earlier round
 * had. A checkpoint lists the parts up to its round. To keep the list short, 64 entries are folded into one, which names an
 * object that lists those 64; the first of them may be a folded entry itself. Checkpoints of old releases have no folded
 * entries and list each part. All versions of a round that began count as seen, even if the round was cut short.
 *
 * Delivery: the name of a part holds its digest, and the part is written before the first step of the round. A part that no
 * checkpoint lists belongs to a round that saved nothing.
 */
import { z } from 'zod';
import { runPrefix } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { findGzipJson, putGzipJson } from '#storage/gzip-json.js';
import { sha256Hex, type Objects } from '#storage/object-store.js';
import { isTrained, type TrainingView, type ViewUtterance } from '#index/training-index.js';

export const seenPartSchema = z.object({
  round: z.number().int().positive(),
  key: z.string(),
  /** Digest of the part as JSON, before compression. */
  sha256: z.string(),
  utterances: z.number().int().nonnegative(),
  /** For a folded entry: the number of parts that it stands for. */
  parts: z.number().int().positive().optional(),
});
/** An entry of a checkpoint's list: the part of one round, or several parts folded into one. */
export type SeenPart = z.infer<typeof seenPartSchema>;

const partContentSchema = z.object({
  round: z.number().int().positive(),
  /** `<utterance>@<version>` by shard. */
  shards: z.record(z.string(), z.array(z.string())),
  speakerIds: z.array(z.string()),
});
export type SeenPartContent = z.infer<typeof partContentSchema>;

const foldedSchema = z.object({ parts: z.array(seenPartSchema) });
/** Most entries of a list. A list of this length is folded into one entry. */
const mostEntries = 64;

type Version = Pick<ViewUtterance, 'utteranceId' | 'version'>;
const nameOf = ({ utteranceId, version }: Version): string => `${utteranceId}@${version}`;
/** An utterance id may hold any character. A version never holds an @. */
export const utteranceOf = (name: string): Version => {
  const at = name.lastIndexOf('@');
  return { utteranceId: name.slice(0, at), version: name.slice(at + 1) };
};

export class Seen {
  private readonly roundOfVersion = new Map<string, number>();
  readonly utteranceIds = new Set<string>();
  readonly speakerIds = new Set<string>();
  /** One part for each round that learnt something new. */
  private readonly rounds: SeenPart[] = [];
  /** The list for the next checkpoint. */
  parts: SeenPart[] = [];

  /** @throws PipelineError CHECKPOINT_INVALID if a part is missing or damaged */
  static async read(store: Objects, parts: readonly SeenPart[]): Promise<Seen> {
    const seen = new Seen();
    for (const part of await unfoldedParts(store, parts)) seen.add(part, await readSeenPart(store, part));
    seen.parts = [...parts];
    return seen;
  }

  /** Digest of all versions seen and of the rounds that saw them. */
  get digest(): string {
    return sha256Hex(this.rounds.map(({ sha256 }) => sha256).join());
  }

  get versions(): number {
    return this.roundOfVersion.size;
  }

  /** @returns the first round that learnt it; undefined if none has */
  roundOf(utterance: Version): number | undefined {
    return this.roundOfVersion.get(nameOf(utterance));
  }

  /**
   * Notes and stores the utterances that a round is about to learn. It also notes the speakers of utterances that were learnt
   * before their speaker was known, so that these speakers are never scored as held out.
   */
  async begin(store: Objects, runId: string, { round, view }: { round: number; view: TrainingView }): Promise<void> {
    if (this.rounds.some((part) => part.round === round)) return; // the round is resumed
    const trained = view.utterances.filter(isTrained);
    const news = trained.filter((utterance) => this.roundOf(utterance) === undefined);
    const heard = new Set([...this.utteranceIds, ...trained.map(({ utteranceId }) => utteranceId)]);
    const speakerIds = new Set(
      view.utterances.flatMap(({ utteranceId, labels }) => (heard.has(utteranceId) ? (labels.speakerId ?? []) : [])),
    );
    const content: SeenPartContent = {
      round,
      shards: Object.fromEntries([...Map.groupBy(news, ({ shardId }) => shardId)].map(([shardId, own]) => [shardId, own.map(nameOf)])),
      speakerIds: [...speakerIds].filter((speaker) => !this.speakerIds.has(speaker)).sort(),
    };
    if (news.length === 0 && content.speakerIds.length === 0) return;
    const json = JSON.stringify(content);
    const sha256 = sha256Hex(json);
    const key = `${seenPrefix(runId)}${String(round).padStart(6, '0')}-${sha256.slice(0, 16)}.json.gz`;
    await putGzipJson(store, key, json);
    const part = { round, key, sha256, utterances: news.length };
    const parts = this.parts.length < mostEntries ? this.parts : [await fold(store, runId, this.parts)];
    this.add(part, content);
    this.parts = [...parts, part];
  }

  private add(part: SeenPart, { shards, speakerIds }: SeenPartContent): void {
    this.rounds.push(part);
    for (const name of Object.values(shards).flat()) {
      this.roundOfVersion.set(name, part.round);
      this.utteranceIds.add(utteranceOf(name).utteranceId);
    }
    for (const speakerId of speakerIds) this.speakerIds.add(speakerId);
  }
}

const seenPrefix = (runId: string): string => `${runPrefix(runId)}seen/`;

/** @returns one entry that stands for all of these; its round is that of the last */
async function fold(store: Objects, runId: string, parts: readonly SeenPart[]): Promise<SeenPart> {
  const json = JSON.stringify({ parts: [...parts] } satisfies z.infer<typeof foldedSchema>);
  const sha256 = sha256Hex(json);
  const round = parts.at(-1)?.round ?? 1;
  const key = `${seenPrefix(runId)}${String(round).padStart(6, '0')}-${sha256.slice(0, 16)}.list.json.gz`;
  await putGzipJson(store, key, json);
  const sum = (countOf: (part: SeenPart) => number): number => parts.reduce((total, part) => total + countOf(part), 0);
  return { round, key, sha256, utterances: sum(({ utterances }) => utterances), parts: sum((part) => part.parts ?? 1) };
}

/** @param known lists that were read before, by key @returns the part of each round @throws PipelineError CHECKPOINT_INVALID */
export async function unfoldedParts(
  store: Objects,
  parts: readonly SeenPart[],
  known = new Map<string, SeenPart[]>(),
): Promise<SeenPart[]> {
  const unfolded: SeenPart[] = [];
  for (const part of parts) {
    if (part.parts === undefined) unfolded.push(part);
    else {
      const found = known.get(part.key) ?? (await unfoldedParts(store, foldedSchema.parse(await readChecked(store, part)).parts, known));
      known.set(part.key, found);
      unfolded.push(...found);
    }
  }
  return unfolded;
}

/** @throws PipelineError CHECKPOINT_INVALID */
export async function readSeenPart(store: Objects, part: SeenPart): Promise<SeenPartContent> {
  return partContentSchema.parse(await readChecked(store, part));
}

async function readChecked(store: Objects, part: SeenPart): Promise<unknown> {
  const json = await findGzipJson(store, part.key);
  if (json === null)
    throw new PipelineError(
      'CHECKPOINT_INVALID',
      `The object ${part.key} is missing. The checkpoint lists it as a part of what its run has seen.`,
    );
  if (sha256Hex(json) !== part.sha256)
    throw new PipelineError('CHECKPOINT_INVALID', `${part.key} does not have the sha256 in its manifest`);
  return JSON.parse(json);
}
