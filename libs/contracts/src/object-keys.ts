/** The layout of the bucket: every key that Undertone makes or reads, and the keys that it refuses. All stages use this one file. */
import { createHash } from 'node:crypto';
import { parseCorpusWarningsKey } from './corpus-warnings.js';
import { utf8Length } from './outside-json.js';
import { PipelineError } from './pipeline-error.js';

export const corporaPrefix = 'corpora/';

/** @returns the parts of `corpora/<corpus>/<path>`, or null for any other key */
export function parseCorpusKey(key: string): { corpus: string; path: string } | null {
  const match = /^corpora\/([^/]+)\/(.+)$/s.exec(key);
  return match?.[1] && match[2] ? { corpus: match[1], path: match[2] } : null;
}
export const corpusKey = (corpus: string, path: string): string => `${corporaPrefix}${corpus}/${path}`;
/** @returns the corpus of an utterance id; empty where the id has none */
export const corpusOf = (utteranceId: string): string => utteranceId.slice(0, Math.max(0, utteranceId.indexOf('/')));
export const utteranceIdOf = (corpus: string, path: string): string => `${corpus}/${path}`;
/** Holds the shards of one hash of feature settings. */
export const shardsPrefix = (settingsHash: string): string => `shards/${settingsHash}/`;
export const shardKey = (settingsHash: string, shardId: string): string => `shards/${settingsHash}/${shardId}.arrow`;
/** @returns settings hash and shard id, or null for any other key */
export function parseShardKey(key: string): { settingsHash: string; shardId: string } | null {
  const match = /^shards\/([0-9a-f]{16})\/([0-9a-f]{64})\.arrow$/.exec(key);
  return match?.[1] && match[2] ? { settingsHash: match[1], shardId: match[2] } : null;
}
export const runPrefix = (runId: string): string => `models/${runId}/`;
export const checkpointPrefix = (runId: string, step: number): string => `${runPrefix(runId)}${String(step).padStart(9, '0')}/`;
export const manifestKey = (runId: string, step: number): string => `${checkpointPrefix(runId, step)}manifest.json`;
/** The lease of a run names the trainer that trains it. The lease of a job names the instance that does it. */
export const runLeaseKey = (runId: string): string => `${runPrefix(runId)}lease.json`;
export const jobLeaseKey = (job: string): string => `state/leases/${job}.json`;
/** The key holds the digest too, so that no writer ever overwrites announced predictions. */
export const predictionsKey = (place: { runId: string; step: number; task: string; sha256: string }): string =>
  `predictions/${place.runId}/${String(place.step).padStart(9, '0')}/${place.task}-${place.sha256.slice(0, 16)}.arrow`;
/**
 * Run, step and task of predictions, or null for any other key.
 * @returns digest null for predictions of old releases, whose keys have none
 */
export function parsePredictionsKey(key: string): { runId: string; step: number; task: string; digest: string | null } | null {
  const match = /^predictions\/([^/]+)\/(\d{9,15})\/([a-z0-9-]+?)(?:-([0-9a-f]{16}))?\.arrow$/.exec(key);
  const [, runId = '', step = '', task = '', digest = null] = match ?? [];
  return match && isKeyName(runId) ? { runId, step: Number(step), task, digest } : null;
}
/** Holds the published experiment and the results of its jobs. */
export const experimentPrefix = (experiment: string): string => `experiments/${experiment}/`;
/** Holds one object for each model that is or was the champion. */
export const championsPrefix = 'champions/';
export const championKey = (number: number): string => `${championsPrefix}${number}.json`;
/** @returns the number of the champion, or null for any other key */
export function parseChampionKey(key: string): number | null {
  const match = /^champions\/([1-9]\d*)\.json$/.exec(key);
  return match ? Number(match[1]) : null;
}
/** Records that the evaluator rejected a model. Written once, so that predictions that come again change nothing. */
export const rejectionKey = (place: { target: string; runId: string; step: number }): string =>
  `state/rejections/${place.target}/${place.runId}/${String(place.step).padStart(9, '0')}.json`;
/** Records the reader that was recognised for a corpus. The first instance to recognise one writes it, once. */
export const readerChoiceKey = (corpus: string): string => `state/readers/${corpus}.json`;
/** Records the splits of the speakers of a corpus, so that none of them ever moves. */
export const speakerSplitsKey = (corpus: string): string => `state/speakers/${corpus}.json`;
/** Settings in which a corpus differs from those of the features service. */
export const featureSettingsPrefix = 'state/feature-settings/';
export const featureSettingsKey = (corpus: string): string => `${featureSettingsPrefix}${corpus}.json`;
/** @returns the corpus, or null for any other key */
export function parseFeatureSettingsKey(key: string): string | null {
  return /^state\/feature-settings\/([^/]+)\.json$/.exec(key)?.[1] ?? null;
}
/** Feature settings by their digest, for models that outlive the shards which they were trained on. */
export const knownSettingsKey = (settingsHash: string): string => `state/known-feature-settings/${settingsHash}.json`;
/** Records the state of an annotation file under which ingest last looked at all recordings of its corpus. */
export const sweptAnnotationsKey = (annotationKey: string): string => `state/annotations/${annotationKey}.json`;
/** Records the state of an archive that ingest unpacked. */
export const unpackedArchiveKey = (archiveKey: string): string => `state/unpacked/${archiveKey}.json`;
/** Progress of the archives that ingest is unpacking. The name is a digest: a key of 1,024 bytes leaves no room for a prefix. */
export const archiveJobsPrefix = 'state/archives/';
export const archiveJobKey = (archiveKey: string): string =>
  `${archiveJobsPrefix}${createHash('sha256').update(archiveKey).digest('hex')}.json`;
/** For feature settings that no corpus uses any more: when that began. */
export const abandonedSettingsKey = 'state/compaction/abandoned-settings.json';
/** For objects that nothing refers to any more: when that began. */
export const unreferencedObjectsKey = 'state/compaction/unreferenced.json';
/** Marks a bucket as belonging to the topics with this prefix. */
export const bucketMarkerPrefix = 'state/bucket-of-';
export const bucketMarkerKey = (topicPrefix: string): string => `${bucketMarkerPrefix}${topicPrefix}.json`;
/** Counts how often a stage failed, or died, on one recording, object or record. The prefix covers a stage; the key, one subject. */
export const crashCountPrefix = (topicPrefix: string, stage: string): string => `state/crashes/${topicPrefix}.${stage}/`;
export const crashCountKey = (topicPrefix: string, stage: string, subjectSha256: string): string =>
  `${crashCountPrefix(topicPrefix, stage)}${subjectSha256}.json`;
/** Snapshots of the trainer's index, with the offsets that it had read. */
export const indexSnapshotPrefix = (topicPrefix: string): string => `state/index/${topicPrefix}/`;

/** S3's limit for a key. */
const maxKeyBytes = 1_024;

/**
 * Refuses a key that an S3 store rejects, or that a client or a proxy rewrites into another key.
 * Call it for each key from outside before a request is made for it.
 * @throws PipelineError OBJECT_KEY_INVALID
 */
export function refuseBadKey(key: string): void {
  const fault = faultOfKey(key);
  if (fault) throw new PipelineError('OBJECT_KEY_INVALID', `The key ${JSON.stringify(key.slice(0, 200))} cannot name an object: ${fault}`);
}

export const isUsableKey = (key: string): boolean => faultOfKey(key) === null;

function faultOfKey(key: string): string | null {
  if (key === '') return 'it is empty';
  const sizeBytes = utf8Length(key);
  if (sizeBytes > maxKeyBytes) return `it has ${sizeBytes} UTF-8 bytes, and S3 allows at most ${maxKeyBytes}`;
  if (/[\u0000-\u001f\u007f-\u009f]/.test(key)) return 'it contains a control character';
  if (!key.isWellFormed()) return 'it contains half of a surrogate pair, which UTF-8 cannot encode';
  // A key that ends with a slash marks a folder; the consoles of stores write such keys. It is usable, but never a recording.
  for (const segment of key.replace(/\/$/, '').split('/')) {
    if (segment === '') return 'one of its segments between slashes is empty';
    if (segment === '.' || segment === '..') return `it contains the segment "${segment}", which clients and proxies resolve as a path`;
  }
  return null;
}

/**
 * Checks one part of a key, between two slashes, that a record may name: a run, an experiment, a job. A folder store uses
 * the part as a folder's name, so it must not lead out of its parent folder.
 */
export const isKeyName = (name: string): boolean => /^(?!\.{1,2}$)[^/\\\p{Cc}\p{Cs}]{1,200}$/u.test(name);

/** Shapes of the objects that Undertone makes and deletes. Recordings and annotations are not among them. */
const ownObjects = {
  shard: (key: string): boolean => parseShardKey(key) !== null,
  predictions: (key: string): boolean => parsePredictionsKey(key) !== null,
  checkpoint: (key: string): boolean =>
    /^models\/[^/]+\/\d{9,15}\/(manifest\.json|weights-[0-9a-f]{16}\.safetensors)$/.test(key) && isKeyName(key.split('/')[1] ?? ''),
  featureSettings: (key: string): boolean => parseFeatureSettingsKey(key) !== null,
  indexSnapshot: (key: string): boolean => /^state\/index\/[^/]+\/[0-9TZ-]+-[0-9a-f]{64}\.zst$/.test(key),
  hold: (key: string): boolean => parseHoldKey(key) !== null,
  crashCount: (key: string): boolean => /^state\/crashes\/[^/]+\.[a-z-]+\/[0-9a-f]{64}\.json$/.test(key),
  archiveJob: (key: string): boolean => /^state\/archives\/[0-9a-f]{64}\.json$/.test(key),
  corpusWarnings: (key: string): boolean => parseCorpusWarningsKey(key) !== null,
  /** The key inside the folder of an experiment. */
  jobFailure: (key: string): boolean => /^jobs\/[^/]+\/failed\.json$/.test(key) && isKeyName(key.split('/')[1] ?? ''),
};
export type OwnObject = keyof typeof ownObjects;
/** True if the key has the shape of this kind of object, so that Undertone may delete it. */
export const isOwnObject = (key: string, kind: OwnObject): boolean => ownObjects[kind](key);

/** A reader's hold on the shards that it may still read (libs/compaction/src/shard-holds.ts). */
export const holdsPrefix = 'state/holds/';
export const holdKey = (id: string): string => `${holdsPrefix}${id}.json`;
/** @returns the id of a hold, or null for any other key */
export function parseHoldKey(key: string): string | null {
  return /^state\/holds\/([0-9a-z-]{1,100})\.json$/.exec(key)?.[1] ?? null;
}
