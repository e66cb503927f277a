/**
 * What a run has learnt from since its beginning: exact utterance versions, by round and shard. It tells new from old,
 * keeps what was trained on from ever being scored as held out, and is the lineage of every model of the run.
 *
 * Each round that begins adds one part, `models/<run>/seen/<round>-<sha256>.json.gz`, with what no earlier round had.
 * A checkpoint names the parts up to its round. So that its list stays short, 64 entries are folded into one, which names an
 * object with those 64; its first may be such an entry itself. A checkpoint without folded entries, as all were once, names each part.
 * A round that was begun counts as seen whole, also if it was cut short.
 *
 * Delivery: a part is named by its content and written before the round's first step. One that no checkpoint names was
 * of a round that left nothing behind.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { z } from 'zod';
import { runPrefix } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { sha256Hex, type Objects } from '#storage/object-store.js';
import { isTrained, type TrainingView, type ViewUtterance } from '#index/training-index.js';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

export const seenPartSchema = z.object({
  round: z.number().int().positive(),
  key: z.string(),
  /** Of the part as JSON, before compression. */
  sha256: z.string(),
  utterances: z.number().int().nonnegative(),
  /** Of a folded entry: how many parts it stands for. */
  parts: z.number().int().positive().optional(),
});
/** An entry of a checkpoint's list: the part of a round, or several folded into one. */
export type SeenPart = z.infer<typeof seenPartSchema>;

const partContentSchema = z.object({
  round: z.number().int().positive(),
  /** By shard, `<utterance>@<version>`. */
  shards: z.record(z.string(), z.array(z.string())),
  speakerIds: z.array(z.string()),
});
export type SeenPartContent = z.infer<typeof partContentSchema>;

const foldedSchema = z.object({ parts: z.array(seenPartSchema) });
/** Entries of a list; at so many they are folded into one. */
const mostEntries = 64;

type Version = Pick<ViewUtterance, 'utteranceId' | 'version'>;
const nameOf = ({ utteranceId, version }: Version): string => `${utteranceId}@${version}`;
/** An utterance's id may hold any character; its version does not hold an @. */
export const utteranceOf = (name: string): Version => {
  const at = name.lastIndexOf('@');
  return { utteranceId: name.slice(0, at), version: name.slice(at + 1) };
};

export class Seen {
  private readonly roundOfVersion = new Map<string, number>();
  readonly utteranceIds = new Set<string>();
  readonly speakerIds = new Set<string>();
  /** One for each round that learnt something new. */
  private readonly rounds: SeenPart[] = [];
  /** As a checkpoint names them. */
  parts: SeenPart[] = [];

  /** @throws PipelineError CHECKPOINT_INVALID where a part is missing or is not what it was */
  static async read(store: Objects, parts: readonly SeenPart[]): Promise<Seen> {
    const seen = new Seen();
    for (const part of await unfoldedParts(store, parts)) seen.add(part, await readSeenPart(store, part));
    seen.parts = [...parts];
    return seen;
  }

  /** Identifies all that was seen, and in which rounds. */
  get digest(): string {
    return sha256Hex(this.rounds.map(({ sha256 }) => sha256).join());
  }

  get versions(): number {
    return this.roundOfVersion.size;
  }

  /** The round that learnt it first; undefined if none has. */
  roundOf(utterance: Version): number | undefined {
    return this.roundOfVersion.get(nameOf(utterance));
  }

  /**
   * Notes what a round begins to learn from, and keeps it. Also the speakers of what was heard before its speaker was
   * known: neither may be scored as unheard.
   */
  async begin(store: Objects, runId: string, { round, view }: { round: number; view: TrainingView }): Promise<void> {
    if (this.rounds.some((part) => part.round === round)) return; // taken up again
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
    await store.put(key, await compress(json), { contentType: 'application/gzip' });
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

/** @returns the one entry that stands for all of these; it has the round of the last */
async function fold(store: Objects, runId: string, parts: readonly SeenPart[]): Promise<SeenPart> {
  const json = JSON.stringify({ parts: [...parts] } satisfies z.infer<typeof foldedSchema>);
  const sha256 = sha256Hex(json);
  const round = parts.at(-1)?.round ?? 1;
  const key = `${seenPrefix(runId)}${String(round).padStart(6, '0')}-${sha256.slice(0, 16)}.list.json.gz`;
  await store.put(key, await compress(json), { contentType: 'application/gzip' });
  const sum = (of: (part: SeenPart) => number): number => parts.reduce((total, part) => total + of(part), 0);
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
  const found = await store.find(part.key);
  if (!found) throw new PipelineError('CHECKPOINT_INVALID', `${part.key} is missing`);
  const json = (await decompress(found.bytes)).toString();
  if (sha256Hex(json) !== part.sha256) throw new PipelineError('CHECKPOINT_INVALID', `${part.key} is not what its manifest says`);
  return JSON.parse(json);
}
