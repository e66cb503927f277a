/**
 * The trainer's index: which tiles count. It keeps every shard that holds a live version of an utterance and reads from
 * the lowest shard id, so that a duplicate shard adds nothing; a tile counts only while its version is its utterance's
 * current one.
 *
 * Delivery: facts may come twice, late and in any order between the topics; the index is the same in the end.
 */
import { createHash } from 'node:crypto';
import { carriesTarget, type EmotionTarget, type Labels, type Split, type Stream } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';

export interface ViewUtterance {
  utteranceId: string;
  version: string;
  objectKey: string;
  stream: Stream;
  labels: Labels;
  split: Split;
  withheld: boolean;
  /** Where its tiles are. */
  shardId: string;
  shardObjectKey: string;
  firstRow: number;
  tileCount: number;
}

/** What one round trains and is scored on, frozen when the round starts. */
export interface TrainingView {
  /** sha256 of the utterance versions, in order. */
  digest: string;
  settingsHash: string | null;
  /** In order of id. */
  utterances: ViewUtterance[];
}

export interface ViewCounts {
  labelled: number;
  unlabelled: number;
}

interface Place {
  shard: ShardSealed;
  firstRow: number;
  tileCount: number;
}

export class TrainingIndex {
  private readonly current = new Map<string, UtteranceIngested>();
  /** `<utterance>@<version>`, then shard id. */
  private readonly places = new Map<string, Map<string, Place>>();
  private readonly shards = new Map<string, ShardSealed>();
  private kept: { revision: number; view: TrainingView } | undefined;
  /** Rises with every change that may change the view. */
  revision = 0;

  applyUtterance(utteranceId: string, fact: UtteranceIngested | null): void {
    if (fact?.version !== undefined && this.current.get(utteranceId)?.version === fact.version) return;
    if (fact) this.current.set(utteranceId, fact);
    else if (!this.current.delete(utteranceId)) return;
    this.revision++;
  }

  applyShard(shardId: string, fact: ShardSealed | null): void {
    const known = this.shards.get(shardId);
    if (Boolean(known) === Boolean(fact)) return;
    const shard = (fact ?? known) as ShardSealed;
    for (const { utteranceId, version, firstRow, tileCount } of shard.utterances) {
      const name = `${utteranceId}@${version}`;
      const places = this.places.get(name) ?? new Map<string, Place>();
      if (fact) places.set(shardId, { shard, firstRow, tileCount });
      else places.delete(shardId);
      this.places.set(name, places);
    }
    if (fact) this.shards.set(shardId, fact);
    else this.shards.delete(shardId);
    this.revision++;
  }

  /** @returns a copy that later facts do not change; its tiles all have the settings of the newest shard */
  view(): TrainingView {
    if (this.kept?.revision !== this.revision) this.kept = { revision: this.revision, view: this.makeView() };
    return this.kept.view;
  }

  private makeView(): TrainingView {
    const settingsHash = this.newestSettingsHash();
    const utterances: ViewUtterance[] = [];
    for (const utterance of this.current.values()) {
      const place = this.placeOf(utterance, settingsHash);
      if (place) utterances.push(viewUtterance(utterance, place));
    }
    utterances.sort((a, b) => (a.utteranceId < b.utteranceId ? -1 : 1));
    return viewOf(settingsHash, utterances);
  }

  private placeOf(utterance: UtteranceIngested, settingsHash: string | null): Place | undefined {
    const places = this.places.get(`${utterance.utteranceId}@${utterance.version}`);
    const usable = [...(places?.values() ?? [])].filter((place) => place.shard.settingsHash === settingsHash);
    return usable.sort((a, b) => (a.shard.shardId < b.shard.shardId ? -1 : 1))[0];
  }

  private newestSettingsHash(): string | null {
    let newest: ShardSealed | null = null;
    for (const shard of this.shards.values()) if (!newest || shard.sealedAt > newest.sealedAt) newest = shard;
    return newest?.settingsHash ?? null;
  }
}

function viewUtterance(utterance: UtteranceIngested, { shard, firstRow, tileCount }: Place): ViewUtterance {
  const { utteranceId, version, objectKey, labels, split, withheld } = utterance;
  return {
    utteranceId,
    version,
    objectKey,
    stream: shard.stream,
    labels,
    split,
    withheld,
    shardId: shard.shardId,
    shardObjectKey: shard.objectKey,
    firstRow,
    tileCount,
  };
}

/** The same view without some utterances. */
export function viewOf(settingsHash: string | null, utterances: ViewUtterance[]): TrainingView {
  return { digest: digestOf(utterances), settingsHash, utterances };
}

function digestOf(utterances: readonly ViewUtterance[]): string {
  const hash = createHash('sha256');
  for (const { utteranceId, version } of utterances) hash.update(`${utteranceId}@${version}\n`);
  return hash.digest('hex');
}

/** What may be learnt from: training speakers, without the utterances withheld for speaker identification. */
export const isTrained = (utterance: ViewUtterance): boolean => utterance.split === 'train' && !utterance.withheld;

/** What a run has ever trained on: late labels may move it out of training, but a model cannot unhear it. */
export interface Heard {
  utteranceIds: ReadonlySet<string>;
  speakerIds: ReadonlySet<string>;
}

/** What may be scored: dev and test speakers that were never trained on, and withheld utterances that never were. */
export function heldOut(view: TrainingView, heard: Heard): ViewUtterance[] {
  return view.utterances.filter((utterance) => {
    if (heard.utteranceIds.has(utterance.utteranceId)) return false;
    const { split, withheld, labels } = utterance;
    return split === 'train' ? withheld : !heard.speakerIds.has(labels.speakerId ?? '');
  });
}

/** Tiles that may be learnt from; labelled are those that carry what the emotion head learns, in whatever shard topic. */
export function trainedTiles(view: TrainingView, target: EmotionTarget): ViewCounts {
  const counts: ViewCounts = { labelled: 0, unlabelled: 0 };
  for (const utterance of view.utterances.filter(isTrained))
    counts[carriesTarget(utterance.labels, target) ? 'labelled' : 'unlabelled'] += utterance.tileCount;
  return counts;
}

/** @throws PipelineError SPEAKER_LEAK if a speaker is in two splits: no score would mean anything */
export function refuseLeaks(view: TrainingView): void {
  const splitOf = new Map<string, Split>();
  for (const { labels, split } of view.utterances) {
    if (labels.speakerId === undefined) continue;
    const before = splitOf.get(labels.speakerId) ?? split;
    if (before !== split)
      throw new PipelineError(
        'SPEAKER_LEAK',
        `Speaker ${labels.speakerId} is in ${before} and in ${split}. Give all of a speaker's rows one split.`,
      );
    splitOf.set(labels.speakerId, split);
  }
}
