/**
 * The oracle computes the exact expected state from the test's own actions. It compares this state with the topics and the
 * trainer, and reports each difference with the history of its object.
 */
import { createHash } from 'node:crypto';
import { deadLetterIdentity } from '#contracts/dead-letters.js';
import { recordOfLetter } from './letter-record.js';
import type { SettledPipeline } from './settled-pipeline.js';
import type { TrueObject, Truth } from './true-corpus.js';

export interface Difference {
  what: string;
  utteranceId: string;
}

/** Compares the state of the topics with the expected state. */
export function differences(truths: readonly Truth[], objects: readonly TrueObject[], pipeline: SettledPipeline): Difference[] {
  return [...ofUtterances(truths, pipeline), ...ofDeadLetters(truths, objects, pipeline)];
}

/** The expected digest of the view, by its definition (libs/index/src/view-digest.ts): every utterance that must be in a shard, and each corpus's settings. */
export function expectedDigest(truths: readonly Truth[], settingsHash: string): string {
  const good = truths.filter(({ state }) => state.audio.code === null).map(({ object, version }) => ({ object, version }));
  const corpora = new Set(good.map(({ object }) => object.corpus));
  const lines = [
    ...good.map(({ object, version }) => `${object.utteranceId}@${version}`),
    ...[...corpora].map((name) => `${name}/@${settingsHash}`),
  ];
  const parts = lines.map((line) => BigInt(`0x${createHash('sha256').update(line).digest('hex').slice(0, 32)}`));
  const sum = parts.reduce((total, part) => total + part, 0n) % (1n << 128n);
  return sum.toString(16).padStart(32, '0');
}

function ofUtterances(truths: readonly Truth[], { index, records, shards }: SettledPipeline): Difference[] {
  const found: Difference[] = [];
  const say = (utteranceId: string, what: string): number => found.push({ utteranceId, what });
  const inView = new Map(index.view().utterances.map((utterance) => [utterance.utteranceId, utterance]));
  const known = new Set(truths.map(({ object }) => object.utteranceId));
  for (const { object, state, version, labels } of truths) {
    const id = object.utteranceId;
    const record = records.get(id);
    const utterance = inView.get(id);
    if (!record) say(id, `is in the bucket as ${version}, and has no record`);
    else if (record.version !== version)
      say(
        id,
        `has a record of ${record.version} (${record.etag.slice(0, 6)}, ${JSON.stringify(record.labels)}), not ${version} (${state.etag.slice(0, 6)}, ${JSON.stringify(labels)})`,
      );
    else if (state.audio.code !== null && utterance) say(id, `is broken, and counts as ${utterance.version}`);
    else if (state.audio.code === null && !utterance) say(id, `is in no shard as ${version}`);
    else if (utterance && utterance.tileCount !== state.audio.tiles)
      say(id, `has ${utterance.tileCount} tiles, where its length demands ${state.audio.tiles}`);
  }
  for (const id of records.keys()) if (!known.has(id)) say(id, 'has a record, and is not in the bucket');
  for (const { shardId, utterances } of shards.values()) {
    const ids = utterances.map(({ utteranceId }) => utteranceId);
    for (const id of ids.filter((each, at) => ids.indexOf(each) !== at)) say(id, `is twice in shard ${shardId.slice(0, 8)}`);
  }
  return found;
}

function ofDeadLetters(truths: readonly Truth[], objects: readonly TrueObject[], { deadLetters }: SettledPipeline): Difference[] {
  const found: Difference[] = [];
  const byId = new Map(objects.map((object) => [object.utteranceId, object]));
  const codes = new Map<string, Map<string, string>>();
  for (const letter of deadLetters) {
    const { utteranceId = '', version = '', stage, code, message } = letter;
    const state = byId.get(utteranceId)?.states.get(recordOfLetter(letter)?.etag ?? '');
    const demanded = state?.audio.code ?? 'none at all';
    if (stage !== 'features' || code !== demanded)
      found.push({
        utteranceId,
        what: `has a dead letter ${stage} ${version} ${code}, where ${state?.audio.kind ?? 'an unknown state'} demands ${demanded}: ${message}`,
      });
    const ofVersion = codes.get(`${utteranceId}@${version}`) ?? new Map<string, string>();
    codes.set(`${utteranceId}@${version}`, ofVersion.set(deadLetterIdentity(letter), code));
  }
  for (const { object, state, version } of truths) {
    const { utteranceId } = object;
    const identities = codes.get(`${utteranceId}@${version}`)?.size ?? 0;
    const demanded = state.audio.code === null ? 0 : 1;
    if (identities !== demanded)
      found.push({ utteranceId, what: `has ${identities} dead letters of its version ${version}, not ${demanded} (${state.audio.kind})` });
  }
  return found;
}
