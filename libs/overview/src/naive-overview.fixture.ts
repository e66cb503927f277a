/** A slow account of utterances, written directly from the rules: it scans all facts for each question. */
import { deadLetterIdentity, type DeadLetter } from '#contracts/dead-letters.js';
import { featureSettingsOf, type FeatureSettingsChosen } from '#contracts/feature-settings.js';
import { streamOf, type Stream } from '#contracts/labels.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';

type Row = ShardSealed['utterances'][number] & { shardId: string; settingsHash: string; stream: Stream };

export class NaiveOverview {
  private readonly utterances = new Map<string, UtteranceIngested>();
  private readonly shards = new Map<string, ShardSealed>();
  private readonly letters: DeadLetter[] = [];
  private settings: FeatureSettingsChosen | null = null;

  applyUtterance(utteranceId: string, fact: UtteranceIngested | null): void {
    if (fact) this.utterances.set(utteranceId, fact);
    else this.utterances.delete(utteranceId);
  }

  applySettings(fact: FeatureSettingsChosen | null): void {
    this.settings = fact;
  }

  applyShard(shardId: string, fact: ShardSealed | null): void {
    if (fact) this.shards.set(shardId, fact);
    else this.shards.delete(shardId);
  }

  applyDeadLetter(letter: DeadLetter): void {
    this.letters.push(letter);
  }

  /** All results of the account, sorted where the order is arbitrary. */
  state() {
    const live = [...this.utterances.values()];
    const ids = new Set([...this.utterances.keys(), ...this.refusedAtIngest()]);
    const inShards = live.filter((each) => this.tilesNow(each)).map(({ utteranceId }) => utteranceId);
    const refused = [...ids].filter((id) => !inShards.includes(id) && this.isDeadLettered(id));
    const inFlight = [...ids].filter((id) => !inShards.includes(id) && !refused.includes(id));
    const withTiles = live.flatMap((each) => {
      const tiles = this.tilesNow(each) ?? this.tilesOf(each, undefined);
      return tiles ? [{ utterance: each, tiles }] : [];
    });
    const learnable = live.filter(({ split, withheld }) => split === 'train' && !withheld);
    const letters = this.distinctLetters();
    return {
      reconciliation: { utterances: ids.size, inShards: inShards.length, deadLettered: refused.length, inFlight: inFlight.sort() },
      byCorpus: countsOf(live.map(({ corpus }) => corpus)),
      bySplit: countsOf(live.map(({ split }) => split)),
      streams: { labelled: this.totals('labelled', withTiles), unlabelled: this.totals('unlabelled', withTiles) },
      silenceCutSec: sum(withTiles.map(({ tiles }) => tiles.cutSec)),
      tilesLeftOut: { 'little speech': sum(withTiles.map(({ tiles }) => tiles.leftOut?.['little speech'] ?? 0)) },
      labelledSpeakers: labelledSpeakers(live),
      moves: this.moves(live),
      trainable: withTiles.filter(({ utterance }) => learnable.includes(utterance)).length,
      newestTrainableAt:
        learnable
          .map(({ ingestedAt }) => ingestedAt)
          .sort()
          .at(-1) ?? null,
      letters: letters.length,
      byCode: countsOf(letters.map(({ code }) => code)),
      open: letters.filter(({ utteranceId }) => !inShards.includes(utteranceId ?? '')).length,
    };
  }

  private moves(live: UtteranceIngested[]) {
    const moves = [...new Set(live.map(({ corpus }) => corpus))].flatMap((corpus) => {
      const settingsHash = this.hashOf(corpus);
      if (settingsHash === undefined) return [];
      const own = live.filter((each) => each.corpus === corpus);
      const rest = own.filter((each) => !this.tilesOf(each, settingsHash) && !this.isRefused(each, settingsHash));
      const isMoving = rest.some((each) => this.tilesOf(each, undefined));
      return isMoving ? [{ corpus, settingsHash, covered: own.length - rest.length, live: own.length }] : [];
    });
    return moves.sort((a, b) => (a.corpus < b.corpus ? -1 : 1));
  }

  private totals(stream: Stream, withTiles: { tiles: Row }[]) {
    const own = withTiles.filter(({ tiles }) => tiles.stream === stream);
    return {
      shards: [...this.shards.values()].filter((shard) => shard.stream === stream).length,
      utterances: own.length,
      tiles: sum(own.map(({ tiles }) => tiles.tileCount)),
      audioSec: sum(own.map(({ tiles }) => tiles.audioSec)),
    };
  }

  private hashOf(corpus: string): string | undefined {
    return this.settings ? featureSettingsOf(this.settings, corpus).settingsHash : undefined;
  }

  private tilesNow(utterance: UtteranceIngested): Row | undefined {
    return this.tilesOf(utterance, this.hashOf(utterance.corpus));
  }

  private tilesOf({ utteranceId, version }: UtteranceIngested, settingsHash: string | undefined): Row | undefined {
    return [...this.shards.values()]
      .flatMap((shard) => shard.utterances.map((row): Row => ({ ...shard, ...row })))
      .filter((row) => row.utteranceId === utteranceId && row.version === version)
      .filter((row) => settingsHash === undefined || row.settingsHash === settingsHash)
      .sort((a, b) => (a.shardId < b.shardId ? -1 : 1))[0];
  }

  private isDeadLettered(utteranceId: string): boolean {
    const utterance = this.utterances.get(utteranceId);
    return utterance ? this.isRefused(utterance, this.hashOf(utterance.corpus)) : this.refusedAtIngest().includes(utteranceId);
  }

  private isRefused({ utteranceId, version }: UtteranceIngested, settingsHash: string | undefined): boolean {
    return this.letters.some((letter) => {
      if (letter.utteranceId !== utteranceId || letter.version !== version) return false;
      const dependsOnSettings = letter.stage === 'features' && letter.settingsHash !== undefined;
      return !dependsOnSettings || settingsHash === undefined || letter.settingsHash === settingsHash;
    });
  }

  private refusedAtIngest(): string[] {
    return this.letters.flatMap(({ stage, utteranceId, version }) =>
      stage === 'ingest' && utteranceId !== undefined && version === undefined && !this.utterances.has(utteranceId) ? [utteranceId] : [],
    );
  }

  private distinctLetters(): DeadLetter[] {
    return [...new Map(this.letters.map((letter) => [deadLetterIdentity(letter), letter])).values()];
  }
}

function labelledSpeakers(live: UtteranceIngested[]) {
  const labelled = live.filter(({ labels }) => labels.speakerId !== undefined && streamOf(labels) === 'labelled');
  return Object.fromEntries(
    [...new Set(labelled.map(({ corpus }) => corpus))].map((corpus) => {
      const own = labelled.filter((each) => each.corpus === corpus);
      const speakers = (split: string): number =>
        new Set(own.filter((each) => each.split === split).map(({ labels }) => labels.speakerId)).size;
      return [corpus, { train: speakers('train'), dev: speakers('dev'), test: speakers('test') }];
    }),
  );
}

const sum = (numbers: number[]): number => numbers.reduce((total, each) => total + each, 0);

function countsOf(names: string[]): Record<string, number> {
  return Object.fromEntries([...new Set(names)].map((name) => [name, names.filter((each) => each === name).length]));
}
