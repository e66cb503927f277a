import { afterEach, describe, expect, it } from 'vitest';
import type { UtteranceScored } from '#contracts/emotions.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { TrainingIndex, type ViewUtterance } from '#index/training-index.js';
import type { MadeTiles, ServedModel } from '#serving/served-model.js';
import type { TileScore } from '#serving/score-tiles.js';
import { ScoreBacklog } from './score-backlog.js';
import { ScoreStream } from './score-stream.js';

const logger = { info: () => undefined, warn: () => undefined } as never;
const score: TileScore = {
  classes: { emotion: ['angry', 'sad'] },
  probabilities: { emotion: { angry: 0.75, sad: 0.25 } },
  entropy: 0.811278,
  tiles: [{ startSec: 0, endSec: 1, probabilities: { emotion: [0.75, 0.25] } }],
};

/** A stream over made utterances, of which each lies in one shard. */
class MadeStream {
  readonly index = new TrainingIndex();
  readonly backlog = new ScoreBacklog({ index: this.index, rescore: { kind: 'new' }, owns: () => true });
  readonly published: string[] = [];
  readonly letters: string[] = [];
  readonly stream: ScoreStream;
  /** Called before each score of the model. */
  beforeScore: (made: readonly MadeTiles[]) => void = () => undefined;
  read: (utterances: readonly ViewUtterance[]) => MadeTiles[] | null = (utterances) =>
    utterances.map(({ firstRow }) => ({ tiles: new Uint8Array([firstRow]), count: 1, times: [null], settingsHash: 'h' }));

  constructor(ids: string[]) {
    const model = {
      name: 'main/20',
      identity: { runId: 'main', step: 20, target: 'emotion', champion: 1 },
      accepts: () => true,
      score: async (made: readonly MadeTiles[]) => {
        this.beforeScore(made);
        return Promise.resolve(made.map(() => score));
      },
    } as unknown as ServedModel;
    this.stream = new ScoreStream({
      backlog: this.backlog,
      tiles: { read: (utterances) => Promise.resolve(this.read(utterances)) },
      model: () => model,
      publisher: {
        topicPrefix: 'test',
        publish: (...[, ...facts]: unknown[]) => {
          this.published.push(...(facts as UtteranceScored[]).map(({ utteranceId, version }) => `${utteranceId}@${version}`));
          return Promise.resolve();
        },
        tombstone: (_topic: unknown, key: string) => Promise.resolve(void this.published.push(`${key}@deleted`)),
      } as never,
      office: {
        writeLetter: (_origin, { utteranceId }, { code }) => Promise.resolve(void this.letters.push(`${code} ${utteranceId}`)),
      },
      onScored: () => undefined,
      onTombstones: () => undefined,
      logger,
      crash: (error) => {
        throw error;
      },
    });
    this.backlog.serve(model);
    for (const id of ids) this.ingest(id, 'v1');
    this.index.applyShard('s', {
      ...{ shardId: 's', stream: 'unlabelled', settingsHash: 'h', sealedAt: '2026-11-30T11:00:00Z' },
      utterances: ids.map((utteranceId, at) => ({ utteranceId, version: 'v1', firstRow: at, tileCount: 1 })),
    });
    this.backlog.considerAll();
  }

  ingest(utteranceId: string, version: string | null): void {
    this.index.applyUtterance(utteranceId, version === null ? null : { version, labels: {}, split: 'train', withheld: false });
    this.backlog.consider([utteranceId]);
  }
}

let made: MadeStream;
afterEach(() => made.stream.stop());

/** Waits until no utterance is due or in work. */
async function settled(count: number): Promise<void> {
  while (made.published.length + made.letters.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('the stream of scores', () => {
  it('publishes each utterance once', async () => {
    made = new MadeStream(['c/a', 'c/b']);
    made.stream.start();
    await settled(2);
    expect(made.published).toEqual(['c/a@v1', 'c/b@v1']);
    expect(made.backlog.counts.scored).toBe(2);
  });

  it('publishes no version that was replaced or deleted while the model scored it', async () => {
    made = new MadeStream(['c/a', 'c/b', 'c/c']);
    made.beforeScore = () => {
      made.beforeScore = () => undefined;
      made.ingest('c/a', null);
      made.ingest('c/b', 'v2');
    };
    made.stream.start();
    await settled(1);
    expect(made.published).toEqual(['c/c@v1']);
  });

  it('scores the others if one fails, and writes a letter for it', async () => {
    made = new MadeStream(['c/a', 'c/bad', 'c/c']);
    made.beforeScore = (tiles) => {
      if (tiles.some((each) => each.tiles[0] === 1)) throw new PipelineError('FEATURE_SETTINGS_MISMATCH', 'other settings');
    };
    made.stream.start();
    await settled(3);
    expect(made.published).toEqual(['c/a@v1', 'c/c@v1']);
    expect(made.letters).toEqual(['FEATURE_SETTINGS_MISMATCH c/bad']);
    expect(made.backlog.stateOf('c/bad')).toBe('failed');
  });

  it('waits for a shard that is gone, and writes no letter', async () => {
    made = new MadeStream(['c/a', 'c/b']);
    let reads = 0;
    const read = made.read;
    made.read = (utterances) => (reads++ === 0 ? null : read(utterances));
    made.stream.start();
    while (made.backlog.counts.due > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(made.letters).toEqual([]);
    expect(made.backlog.counts).toMatchObject({ 'without-tiles': 2, failed: 0 });
  });
});
