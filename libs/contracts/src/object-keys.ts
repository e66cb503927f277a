/** Where things live in the bucket, and the keys that no request is made for. One place, so that no two stages disagree. */
import { createHash } from 'node:crypto';
import { utf8Length } from './outside-json.js';
import { PipelineError } from './pipeline-error.js';

export const corporaPrefix = 'corpora/';

/** `corpora/<corpus>/<path>`, or null for any other key. */
export function parseCorpusKey(key: string): { corpus: string; path: string } | null {
  const match = /^corpora\/([^/]+)\/(.+)$/s.exec(key);
  return match?.[1] && match[2] ? { corpus: match[1], path: match[2] } : null;
}
export const corpusKey = (corpus: string, path: string): string => `${corporaPrefix}${corpus}/${path}`;
export const utteranceIdOf = (corpus: string, path: string): string => `${corpus}/${path}`;
export const shardKey = (settingsHash: string, shardId: string): string => `shards/${settingsHash}/${shardId}.arrow`;
/** Settings hash and shard id, or null for any other key. */
export function parseShardKey(key: string): { settingsHash: string; shardId: string } | null {
  const match = /^shards\/([0-9a-f]{16})\/([0-9a-f]{64})\.arrow$/.exec(key);
  return match?.[1] && match[2] ? { settingsHash: match[1], shardId: match[2] } : null;
}
export const runPrefix = (runId: string): string => `models/${runId}/`;
export const checkpointPrefix = (runId: string, step: number): string => `${runPrefix(runId)}${String(step).padStart(9, '0')}/`;
export const manifestKey = (runId: string, step: number): string => `${checkpointPrefix(runId, step)}manifest.json`;
/** Who trains a run; who does a job that only one may do at a time. */
export const runLeaseKey = (runId: string): string => `${runPrefix(runId)}lease.json`;
export const jobLeaseKey = (job: string): string => `state/leases/${job}.json`;
/** Named by content as well: what was announced is never overwritten. */
export const predictionsKey = (place: { runId: string; step: number; task: string; sha256: string }): string =>
  `predictions/${place.runId}/${String(place.step).padStart(9, '0')}/${place.task}-${place.sha256.slice(0, 16)}.arrow`;
/**
 * Run, step and task, or null for any other key. Predictions of former days have no digest in their names.
 * @returns digest null where the name has none
 */
export function parsePredictionsKey(key: string): { runId: string; step: number; task: string; digest: string | null } | null {
  const match = /^predictions\/([^/]+)\/(\d{9,15})\/([a-z0-9-]+?)(?:-([0-9a-f]{16}))?\.arrow$/.exec(key);
  const [, runId = '', step = '', task = '', digest = null] = match ?? [];
  return match && isKeyName(runId) ? { runId, step: Number(step), task, digest } : null;
}
/** What was published of an experiment, and the results of its jobs. */
export const experimentPrefix = (experiment: string): string => `experiments/${experiment}/`;
/** Which models are, and were, in use. */
export const championsPrefix = 'champions/';
export const championKey = (number: number): string => `${championsPrefix}${number}.json`;
/** The number of a champion, or null for any other key. */
export function parseChampionKey(key: string): number | null {
  const match = /^champions\/([1-9]\d*)\.json$/.exec(key);
  return match ? Number(match[1]) : null;
}
/** That a model was looked at and not promoted: written once, so that predictions that come again change nothing. */
export const rejectionKey = (place: { target: string; runId: string; step: number }): string =>
  `state/rejections/${place.target}/${place.runId}/${String(place.step).padStart(9, '0')}.json`;
/** Which reader a corpus was recognised by: written once, by whoever came first. */
export const readerChoiceKey = (corpus: string): string => `state/readers/${corpus}.json`;
/** What a corpus has otherwise than the settings of the features service. */
export const featureSettingsPrefix = 'state/feature-settings/';
export const featureSettingsKey = (corpus: string): string => `${featureSettingsPrefix}${corpus}.json`;
/** The corpus, or null for any other key. */
export function parseFeatureSettingsKey(key: string): string | null {
  return /^state\/feature-settings\/([^/]+)\.json$/.exec(key)?.[1] ?? null;
}
/** Which state of an annotation file all recordings of its corpus were last looked at under. */
export const sweptAnnotationsKey = (annotationKey: string): string => `state/annotations/${annotationKey}.json`;
/** Which state of an archive was unpacked. */
export const unpackedArchiveKey = (archiveKey: string): string => `state/unpacked/${archiveKey}.json`;
/** The archives that are being unpacked, and how far each is. Named by a digest: a key of 1,024 bytes has no room for a prefix. */
export const archiveJobsPrefix = 'state/archives/';
export const archiveJobKey = (archiveKey: string): string =>
  `${archiveJobsPrefix}${createHash('sha256').update(archiveKey).digest('hex')}.json`;
/** Since when which feature settings are used by no corpus any more. */
export const abandonedSettingsKey = 'state/compaction/abandoned-settings.json';
/** Since when which objects are of no use any more. */
export const unreferencedObjectsKey = 'state/compaction/unreferenced.json';
/** Says that a bucket belongs to these topics. */
export const bucketMarkerPrefix = 'state/bucket-of-';
export const bucketMarkerKey = (topicPrefix: string): string => `${bucketMarkerPrefix}${topicPrefix}.json`;
/** How often a stage failed, or died, on one recording, object or record: all of a stage, and one of them. */
export const crashCountPrefix = (topicPrefix: string, stage: string): string => `state/crashes/${topicPrefix}.${stage}/`;
export const crashCountKey = (topicPrefix: string, stage: string, subjectSha256: string): string =>
  `${crashCountPrefix(topicPrefix, stage)}${subjectSha256}.json`;
/** What the trainer's index was, and what it had read. */
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
  if (fault)
    throw new PipelineError('OBJECT_KEY_INVALID', `No object is read or written by the key ${JSON.stringify(key.slice(0, 200))}: ${fault}`);
}

export const isUsableKey = (key: string): boolean => faultOfKey(key) === null;

function faultOfKey(key: string): string | null {
  if (key === '') return 'it is empty';
  const sizeBytes = utf8Length(key);
  if (sizeBytes > maxKeyBytes) return `it has ${sizeBytes} UTF-8 bytes, and S3 takes at most ${maxKeyBytes}`;
  if (/[\u0000-\u001f\u007f-\u009f]/.test(key)) return 'it has a control character';
  if (!key.isWellFormed()) return 'it has half of a surrogate pair, which no UTF-8 text can carry';
  // A key that ends with a slash is a folder's marker, as consoles of stores write it. It is usable, and no recording.
  for (const segment of key.replace(/\/$/, '').split('/')) {
    if (segment === '') return 'one of its segments between slashes is empty';
    if (segment === '.' || segment === '..') return `it has the segment "${segment}", which clients and proxies resolve as a path`;
  }
  return null;
}

/**
 * One part of a key, between two slashes, that a record may name: a run, an experiment, a job. In a folder store it is the
 * name of a folder too, so that it must not lead out of the folder that it lies in.
 */
export const isKeyName = (name: string): boolean => /^(?!\.{1,2}$)[^/\\\p{Cc}\p{Cs}]{1,200}$/u.test(name);

/** Shapes of the objects that Undertone makes and takes away again. Recordings and annotations are none of them. */
const ownObjects = {
  shard: (key: string): boolean => parseShardKey(key) !== null,
  predictions: (key: string): boolean => parsePredictionsKey(key) !== null,
  checkpoint: (key: string): boolean =>
    /^models\/[^/]+\/\d{9,15}\/(manifest\.json|weights-[0-9a-f]{16}\.safetensors)$/.test(key) && isKeyName(key.split('/')[1] ?? ''),
  featureSettings: (key: string): boolean => parseFeatureSettingsKey(key) !== null,
  indexSnapshot: (key: string): boolean => /^state\/index\/[^/]+\/[0-9TZ-]+-[0-9a-f]{64}\.zst$/.test(key),
  hold: (key: string): boolean => parseHoldKey(key) !== null,
};
export type OwnObject = keyof typeof ownObjects;
/** Whether a key is one of the objects of that kind, which Undertone may delete. */
export const isOwnObject = (key: string, kind: OwnObject): boolean => ownObjects[kind](key);

/** What a reader says of the shards that it may still read (libs/compaction/src/shard-holds.ts). */
export const holdsPrefix = 'state/holds/';
export const holdKey = (id: string): string => `${holdsPrefix}${id}.json`;
/** The id of a hold, or null for any other key. */
export function parseHoldKey(key: string): string | null {
  return /^state\/holds\/([0-9a-z-]{1,100})\.json$/.exec(key)?.[1] ?? null;
}
