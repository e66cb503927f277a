/**
 * What a run has learnt from since its beginning: exact utterance versions, by round and shard. It tells new from old,
 * keeps what was trained on from ever being scored as held out, and is the lineage of every model of the run.
 *
 * Each round that begins adds one part, `models/<run>/seen/<round>-<sha256>.json.gz`, with what no earlier round had;
 * a checkpoint names all parts up to its round. A round that was begun counts as seen whole, also if it was cut short.
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
});
export type SeenPart = z.infer<typeof seenPartSchema>;

const partContentSchema = z.object({
  round: z.number().int().positive(),
  /** By shard, `<utterance>@<version>`. */
  shards: z.record(z.string(), z.array(z.string())),
  speakerIds: z.array(z.string()),
});
export type SeenPartContent = z.infer<typeof partContentSchema>;

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
  readonly parts: SeenPart[] = [];

  /** @throws PipelineError CHECKPOINT_INVALID where a part is missing or is not what it was */
  static async read(store: Objects, parts: readonly SeenPart[]): Promise<Seen> {
    const seen = new Seen();
    for (const part of parts) seen.add(part, await readSeenPart(store, part));
    return seen;
  }

  /** Identifies all that was seen, and in which rounds. */
  get digest(): string {
    return sha256Hex(this.parts.map(({ sha256 }) => sha256).join());
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
    if (this.parts.some((part) => part.round === round)) return; // taken up again
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
    this.add({ round, key, sha256, utterances: news.length }, content);
  }

  private add(part: SeenPart, { shards, speakerIds }: SeenPartContent): void {
    this.parts.push(part);
    for (const name of Object.values(shards).flat()) {
      this.roundOfVersion.set(name, part.round);
      this.utteranceIds.add(utteranceOf(name).utteranceId);
    }
    for (const speakerId of speakerIds) this.speakerIds.add(speakerId);
  }
}

const seenPrefix = (runId: string): string => `${runPrefix(runId)}seen/`;

/** @throws PipelineError CHECKPOINT_INVALID */
export async function readSeenPart(store: Objects, part: SeenPart): Promise<SeenPartContent> {
  const found = await store.find(part.key);
  if (!found) throw new PipelineError('CHECKPOINT_INVALID', `${part.key} is missing`);
  const json = (await decompress(found.bytes)).toString();
  if (sha256Hex(json) !== part.sha256) throw new PipelineError('CHECKPOINT_INVALID', `${part.key} is not what its manifest says`);
  return partContentSchema.parse(JSON.parse(json));
}
