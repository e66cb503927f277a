/**
 * Tests the pipeline from a bucket to an evaluated model on the broker and store of a given stack. The store's events must suffice:
 * the listing at the start finds no object, and the next listing is an hour away.
 *
 * The specs in integration/ and chaos/ test more failures, on the embedded servers only.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { putMadeCorpus, toneWav } from './integration/made-corpus.js';
import type { RunningPipeline, ServiceName } from './integration/running-pipeline.js';

export interface PipelineStack {
  /** A prepared pipeline without running services. Its settings include `fromEventsAlone`. */
  pipeline: RunningPipeline;
  /** Stops the pipeline and the servers of the stack. */
  close(): Promise<void>;
}

export const fromEventsAlone = { RECONCILE_INTERVAL: '3600' };
const services: ServiceName[] = ['ingest', 'features', 'trainer', 'evaluator', 'predictor'];

/**
 * @returns a condition that puts an object that is no recording, and is true once an event of the store has come. SeaweedFS drops
 * events for ten seconds after it could not send one, as before ingest has made their topic.
 */
function eventsFlow(pipeline: RunningPipeline): () => Promise<boolean> {
  let puts = 0;
  return async () => {
    const before = await pipeline.countEvents();
    await pipeline.store.put(corpusKey('canary', `note-${++puts}.txt`), Buffer.from('no recording'));
    await sleep(1_000);
    return (await pipeline.countEvents()) > before;
  };
}

/**
 * @param startStack may take minutes where images have to be pulled
 * @param more tests for this stack only, which run while its services run
 */
export function describePipeline<Stack extends PipelineStack>(
  title: string,
  startStack: () => Promise<Stack>,
  more: (started: () => Stack) => void = () => undefined,
): void {
  describe(title, () => {
    let stack: Stack;
    let pipeline: RunningPipeline;
    let paths: string[];

    beforeAll(async () => {
      stack = await startStack();
      pipeline = stack.pipeline;
      pipeline.start(...services);
      // Ready is who has listed the bucket and follows its topics.
      await pipeline.until('five services that are ready', async () => (await Promise.all(services.map(isReady))).every(Boolean), 180);
      await pipeline.until('events of the store', eventsFlow(pipeline), 120);
    }, 600_000);
    afterAll(async () => stack?.close(), 120_000);

    const isReady = async (service: ServiceName): Promise<boolean> => {
      const answer = await fetch(`${pipeline.url(service)}/health/ready`).catch(() => null);
      return answer?.ok ?? false;
    };
    const settled = (count: number) => () => {
      const { utterances, inFlight } = pipeline.overview.reconcile();
      return utterances === count && inFlight.length === 0;
    };
    const evaluatedAll = (): boolean => {
      const { checkpoint, reconciliation } = pipeline.overview.snapshot();
      if (!checkpoint || checkpoint.viewUtterances !== reconciliation.inShards) return false;
      const done = new Set(pipeline.overview.evaluationsOf(checkpoint.runId, checkpoint.step).map((each) => each.task));
      return checkpoint.predictedTasks.length > 0 && checkpoint.predictedTasks.every((task) => done.has(task));
    };

    it('makes utterances, shards, a model and its evaluation from events of the store', async () => {
      ({ paths } = await putMadeCorpus(pipeline.store, 'made'));
      await pipeline.until('all utterances in shards', settled(paths.length));
      expect(pipeline.overview.reconcile()).toMatchObject({ inShards: paths.length, deadLettered: 0 });
      await pipeline.until('an evaluated model', evaluatedAll, 180);
      const { evaluations, checkpoint } = pipeline.overview.snapshot();
      expect(checkpoint).toMatchObject({ round: 1, viewUtterances: paths.length });
      expect(evaluations.find((each) => each.task === 'emotion' && each.split === 'test')).toMatchObject({ n: 8, speakers: 1 });
    });

    it('notices a new, an unreadable and a deleted object by their events', async () => {
      await pipeline.store.put(corpusKey('late', 'a ü+b.wav'), toneWav());
      await pipeline.until('one utterance more', settled(paths.length + 1));
      await pipeline.store.put(corpusKey('late', 'text.wav'), 'This is no sound at all, only a text.');
      await pipeline.until('a dead letter', () => settled(paths.length + 2)() && pipeline.overview.reconcile().deadLettered === 1);
      expect(pipeline.overview.deadLetters).toMatchObject([{ utteranceId: 'late/text.wav', code: 'AUDIO_NOT_RECOGNISED' }]);
      await pipeline.store.delete(corpusKey('late', 'a ü+b.wav'));
      await pipeline.until('its tombstone', settled(paths.length + 1));
    });

    more(() => stack);

    /** In containers the services listen beyond loopback and require their token. */
    const ask = (service: ServiceName, path: string): Promise<Response> =>
      fetch(`${pipeline.url(service)}${path}`, { headers: { authorization: `Bearer ${pipeline.environment['API_TOKEN'] ?? ''}` } });

    it('reports the health of services, which end with 0 on SIGTERM', async () => {
      const overview = await (await ask('evaluator', '/api/overview')).json();
      expect(overview).toMatchObject({
        utterances: { live: paths.length + 1 },
        stages: { ingest: 'ready', features: 'ready', trainer: 'ready' },
      });
      for (const service of services) {
        const metrics = await (await ask(service, '/metrics')).text();
        expect(metrics).toMatch(new RegExp(`^undertone_${service}_`, 'm'));
        expect(await pipeline.stopGently(service), `${service} at SIGTERM`).toBe(0);
      }
    });
  });
}
