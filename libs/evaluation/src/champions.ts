/**
 * Stores the champion model of each emotion target and all earlier champions. Each champion is an object
 * `champions/<n>.json`, numbered from 1 over all targets. It is written only if the number is free, and never changes. The
 * champion with the highest number of a target is the current one. A rollback writes a new number that restores an earlier model.
 *
 * Delivery: the writer of n + 1 has read all champions up to n. If two challengers were compared with the same champion, one
 * wins and the other is refused. A writer whose answer was lost finds its own claim and has won. The records about champions on
 * the topic can always be made again from these objects.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { emotionTargets, type EmotionTarget } from '#contracts/labels.js';
import { championKey, championsPrefix, parseChampionKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { modelComparisonSchema, type ModelPromoted } from '#contracts/promotions.js';
import type { Objects } from '#storage/object-store.js';

const number = z.number().int().positive();

const championSchema = z.object({
  number,
  target: z.enum(emotionTargets),
  model: z.object({
    runId: z.string().min(1),
    step: z.number().int().nonnegative(),
    manifestKey: z.string().min(1),
    /** SHA-256 of the weights file. */
    sha256: z.string().length(64),
  }),
  since: z.iso.datetime(),
  /** Identifies the writer, so that it recognises its own object after a lost answer. */
  claim: z.uuid(),
  /** The reason in plain words. */
  why: z.string().min(1),
  by: z.enum(['evaluator', 'person']),
  /** The number of the champion that it replaced; null for the target's first champion. */
  after: number.nullable(),
  /** Only for a rollback: the number of the earlier champion whose model is restored. */
  restores: number.optional(),
  /** The scores that decided; absent if a person decided. */
  comparison: modelComparisonSchema.optional(),
});
export type Champion = z.infer<typeof championSchema>;
export type ChampionDraft = Omit<Champion, 'number' | 'since' | 'after' | 'claim'>;

/** Champions never change, so each is read once and cached by key and ETag. Every round and promotion reads all of them. */
const readBefore = new WeakMap<object, Map<string, Champion>>();

/** @returns the champions of all targets, by number. @throws PipelineError CHECKPOINT_INVALID for an invalid object */
export async function listChampions(store: Objects): Promise<Champion[]> {
  const found: { number: number; etag: string }[] = [];
  for await (const { key, etag } of store.list(championsPrefix)) found.push({ number: parseChampionKey(key) ?? 0, etag });
  const known = readBefore.get(store) ?? new Map<string, Champion>();
  readBefore.set(store, known);
  const champions: Champion[] = [];
  for (const each of found.filter(({ number: own }) => own > 0).sort((a, b) => a.number - b.number)) {
    const key = championKey(each.number);
    const champion = known.get(`${key} ${each.etag}`) ?? parseChampion(key, await store.findJson(key));
    if (!champion) continue;
    known.set(`${key} ${each.etag}`, champion);
    champions.push(champion);
  }
  return champions;
}

/** @returns null if no model of that target was promoted. @throws PipelineError CHECKPOINT_INVALID */
export async function currentChampion(store: Objects, target: EmotionTarget): Promise<Champion | null> {
  return championOf(await listChampions(store), target);
}

/** @param champions by number */
export const championOf = (champions: readonly Champion[], target: EmotionTarget): Champion | null =>
  champions.findLast((each) => each.target === target) ?? null;

/**
 * Makes a model the champion of its target.
 * @param after the number of the champion that it was compared with, null if there was none
 * @returns null if the target has another champion by now
 */
export async function crown(store: Objects, draft: ChampionDraft, { after }: { after: number | null }): Promise<Champion | null> {
  const claim = { ...draft, after, since: new Date().toISOString(), claim: randomUUID() };
  for (;;) {
    const champions = await listChampions(store);
    const current = championOf(champions, draft.target);
    // An earlier try wrote this object, but its answer was lost.
    if (current?.claim === claim.claim) return current;
    if ((current?.number ?? null) !== after) return null;
    const champion: Champion = championSchema.parse({ ...claim, number: (champions.at(-1)?.number ?? 0) + 1 });
    const written = await store.put(championKey(champion.number), JSON.stringify(champion), {
      onlyIf: 'absent',
      contentType: 'application/json',
    });
    if (written !== null) return champion;
  }
}

/** Builds the record about a champion. @param champions all champions */
export function promotedFact(champion: Champion, champions: readonly Champion[]): ModelPromoted {
  const before = champions.find((each) => each.number === champion.after);
  return {
    type: 'ModelPromoted',
    target: champion.target,
    number: champion.number,
    challenger: { runId: champion.model.runId, step: champion.model.step },
    champion: before ? { number: before.number, runId: before.model.runId, step: before.model.step } : null,
    comparison: champion.comparison ?? null,
    why: champion.why,
    by: champion.by,
    ...(champion.restores === undefined ? {} : { restores: champion.restores }),
    at: champion.since,
  };
}

/**
 * Announces a target's champion, if it has one, then checks again. If another model became champion meanwhile, that one is
 * announced too, so that the last record is about the newest champion.
 * @param known the number that was announced before
 */
export async function announceChampion(
  store: Objects,
  target: EmotionTarget,
  publish: (fact: ModelPromoted) => Promise<void>,
  known = 0,
): Promise<void> {
  for (let told = known; ; ) {
    const champions = await listChampions(store);
    const champion = championOf(champions, target);
    // Not `<=`: a forged announcement may have any number, and the bucket decides.
    if (!champion || champion.number === told) return;
    await publish(promotedFact(champion, champions));
    told = champion.number;
  }
}

/** @returns null for an object that was deleted after it was listed */
function parseChampion(key: string, json: unknown): Champion | null {
  if (json === null) return null;
  const parsed = championSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new PipelineError('CHECKPOINT_INVALID', `${key} is not a valid champion: ${issue?.path.join('.')}: ${issue?.message}`, {
    context: { key },
  });
}
