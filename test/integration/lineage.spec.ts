/**
 * Lineage with real services and the real command line: the utterances behind each model, through an erasure, a new label, a new
 * recording and a compaction. Lineage keeps each trained version, and never contains a held-out utterance.
 */
import { afterEach, expect, it } from 'vitest';
import { readShard } from '#audio/shard/shard-file.js';
import { corpusKey } from '#contracts/object-keys.js';
import { isWithheld } from '#corpora/splits.js';
import type { Lineage, SeenBy } from '#rounds/lineage.js';
import { undertone } from './command-line.js';
import { putMadeCorpus, toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
afterEach(async () => pipeline.close());

type LineageAsPrinted = Pick<Lineage, 'byCorpus' | 'seen'> & Record<'checkpoint', Seen> & { parents: Seen[] };
type Seen = Pick<Lineage['checkpoint'], 'runId' | 'step' | 'round' | 'parent' | 'weights'>;

async function lineageOf(model: string): Promise<LineageAsPrinted> {
  const answer = await undertone(pipeline, 'lineage', model, '--json');
  expect(answer, answer.errors).toMatchObject({ code: 0 });
  return answer.json<LineageAsPrinted>();
}

async function seenBy(utteranceId: string): Promise<SeenBy[]> {
  const answer = await undertone(pipeline, 'lineage', '--utterance', utteranceId, '--json');
  expect(answer, answer.errors).toMatchObject({ code: 0 });
  return answer.json<{ seenBy: SeenBy[] }>().seenBy;
}

const namesOf = ({ seen }: LineageAsPrinted): string[] => seen.flatMap(({ shards }) => Object.values(shards).flat());
const idOf = (name: string): string => name.slice(0, name.lastIndexOf('@'));
const settled = (count: number) => (): boolean => {
  const { utterances, inFlight } = pipeline.overview.reconcile();
  return utterances === count && inFlight.length === 0;
};

/** Utterances with a row in any object under shards/, whether announced or not. */
async function inStore(): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const { key } of pipeline.store.list('shards/')) {
    const shard = readShard((await pipeline.store.get(key)).bytes);
    for (let row = 0; row < shard.count; row++) ids.add(shard.utteranceIdAt(row));
  }
  return ids;
}

it('names the training versions of each model, also after erasure, relabelling and compaction', async () => {
  pipeline = new RunningPipeline({ SHARD_TILES: '8', ROUND_QUIET: '1' });
  await pipeline.prepare();
  const { store, overview } = pipeline;
  const { paths, manifest } = await putMadeCorpus(store, 'made', { speakers: 5, each: 2 });
  pipeline.start('ingest', 'features');
  await pipeline.until('all in shards', settled(paths.length));
  // The trainer sees the whole first state and then the second, with one round for each.
  pipeline.start('trainer');
  const saved = (step: number) => (): boolean => overview.snapshot().checkpoint?.step === step;
  await pipeline.until('a first model', saved(20));
  expect(await pipeline.stopGently('trainer')).toBe(0);

  const runId = overview.snapshot().checkpoint?.runId ?? '';
  const first = await lineageOf(`${runId}/20`);
  const learnt = paths.filter((path) => {
    const [speaker = ''] = path.split('/');
    return !['s0', 's1'].includes(speaker) && !isWithheld('train', `made/${speaker}`, `made/${path}`);
  });
  expect(namesOf(first).map(idOf).sort()).toEqual(learnt.map((path) => `made/${path}`).sort());
  expect(first).toMatchObject({ checkpoint: { runId, step: 20, round: 1, parent: null }, parents: [], byCorpus: { made: learnt.length } });

  const [erasedPath = '', relabelledPath = '', untouchedPath = ''] = learnt;
  const added =
    Array.from({ length: 20 }, (_, i) => `s2/extra-${i}.wav`).find((path) => !isWithheld('train', 'made/s2', `made/${path}`)) ?? '';
  const [erased, relabelled, untouched] = [erasedPath, relabelledPath, untouchedPath].map((path) => `made/${path}`) as [
    string,
    string,
    string,
  ];
  const versionOf = (lineage: LineageAsPrinted, id: string): string[] =>
    namesOf(lineage)
      .filter((name) => idOf(name) === id)
      .map((name) => name.slice(id.length + 1));
  const [erasedVersion = ''] = versionOf(first, erased);
  await store.delete(corpusKey('made', erasedPath));
  const rows = manifest.trimEnd().split('\n');
  // Without its emotion the utterance also moves to the other stream.
  const changed = rows.map((row) =>
    row.startsWith(`${relabelledPath},`) ? row.replace(/,(angry|happy|neutral|sad),train$/, ',,train') : row,
  );
  await store.put(corpusKey('made', 'manifest.csv'), `${[...changed, `${added},s2,female,sad,train`].join('\n')}\n`);
  await store.put(corpusKey('made', added), toneWav({ pitchHz: 250, glide: 0.2 }));
  await pipeline.until('the new state in shards', () => {
    const { labelled, unlabelled } = overview.snapshot().streams;
    return settled(paths.length)() && unlabelled.utterances === 1 && labelled.utterances === paths.length - 1;
  });
  pipeline.start('trainer');
  await pipeline.until('a second model', saved(40));

  const second = await lineageOf(`${runId}/40`);
  expect(second.seen.map(({ round }) => round)).toEqual([1, 2]);
  expect(second.seen[0], 'what was seen stays seen').toEqual(first.seen[0]);
  expect(namesOf(second).length - namesOf(first).length, 'the new version and the newcomer, nothing else').toBe(2);
  expect(versionOf(second, erased)).toEqual([erasedVersion]);
  const [oldVersion = '', newVersion = ''] = versionOf(second, relabelled);
  expect(versionOf(first, relabelled)).toEqual([oldVersion]);
  expect(newVersion).not.toBe('');
  expect(newVersion).not.toBe(oldVersion);
  expect(versionOf(second, `made/${added}`)).toHaveLength(1);
  expect(
    namesOf(second).filter((name) => /^made\/s[01]\//.test(name)),
    'test and dev speakers',
  ).toEqual([]);
  expect(second.checkpoint).toMatchObject({ round: 2, parent: { step: 20, sha256: first.checkpoint.weights.sha256 } });
  expect(second.parents.map(({ step }) => step)).toEqual([20]);
  expect(second.parents[0]?.weights).toEqual(first.checkpoint.weights);

  const whoSaw = {
    [erased]: [{ runId, version: erasedVersion, round: 1, models: [20, 40] }],
    [relabelled]: [
      { runId, version: oldVersion, round: 1, models: [20, 40] },
      { runId, version: newVersion, round: 2, models: [40] },
    ],
    [untouched]: [{ runId, version: versionOf(first, untouched)[0], round: 1, models: [20, 40] }],
    [`made/${added}`]: [{ runId, version: versionOf(second, `made/${added}`)[0], round: 2, models: [40] }],
    'made/s0/angry-0.wav': [],
    'made/s1/angry-0.wav': [],
  };
  const asked = async (): Promise<Record<string, SeenBy[]>> => {
    const answers: Record<string, SeenBy[]> = {};
    for (const id of Object.keys(whoSaw)) answers[id] = await seenBy(id);
    return answers;
  };
  expect(await asked()).toEqual(whoSaw);

  // After the full erasure no tile is left, and lineage still names the models that learnt it.
  expect(await inStore()).toContain(erased);
  const compacted = await undertone(pipeline, 'compact', '--grace', '0', '--json');
  expect(compacted, compacted.errors).toMatchObject({ code: 0 });
  expect(await inStore()).not.toContain(erased);
  expect(await inStore()).toContain(untouched);
  expect(await asked()).toEqual(whoSaw);
  expect(await lineageOf(`${runId}/40`)).toEqual(second);
  const told = await undertone(pipeline, 'lineage', '--utterance', erased);
  expect(told.text).toMatch(new RegExp(`${runId} +${erasedVersion} +1 +20, 40`));
  expect((await undertone(pipeline, 'lineage', `${runId}/40`)).text).toContain('step 20 (round 1)');
  expect(await pipeline.stopGently('trainer')).toBe(0);
});
