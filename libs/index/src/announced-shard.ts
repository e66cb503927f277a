/**
 * Opens a shard's file only if it is the announced one. Its bytes must have the sha256 that is its name, its tiles the
 * settings in its key, and its rows the utterance versions that the record lists. A record is a claim; the file decides.
 *
 * Does not promise that the tiles come from the recording: anyone who may write both the bucket and the topic can forge a shard.
 */
import { createHash } from 'node:crypto';
import { readShard, type ShardFile } from '#audio/shard/shard-file.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { sha256Hex } from '#storage/object-store.js';

/** Rows of a shard, and the utterance version that a record claims for them. */
export interface ClaimedRows {
  utteranceId: string;
  version: string;
  firstRow: number;
  tileCount: number;
}

/** @returns null for bytes that are not a shard, have another sha256, or contradict the record */
export function openAnnounced(bytes: Uint8Array, shardId: string, rows: Iterable<ClaimedRows>): ShardFile | null {
  if (sha256Hex(bytes) !== shardId) return null;
  try {
    const file = readShard(bytes);
    for (const claimed of rows) if (!holds(file, claimed)) return null;
    return file;
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'RECORD_INVALID') return null;
    throw error;
  }
}

function holds(file: ShardFile, { utteranceId, version, firstRow, tileCount }: ClaimedRows): boolean {
  if (firstRow + tileCount > file.count) return false;
  for (let row = firstRow; row < firstRow + tileCount; row++)
    if (file.utteranceIdAt(row) !== utteranceId || file.versionAt(row) !== version) return false;
  return true;
}

/** A short digest of the utterance version in each row of a file. With it, later claims are checked without the file. */
export function rowDigests(file: ShardFile): Uint32Array {
  let known = { utteranceId: '', version: '', digest: 0 };
  return Uint32Array.from({ length: file.count }, (_, row) => {
    const [utteranceId, version] = [file.utteranceIdAt(row), file.versionAt(row)];
    if (utteranceId !== known.utteranceId || version !== known.version)
      known = { utteranceId, version, digest: digestOf({ utteranceId, version }) };
    return known.digest;
  });
}

/** @param digests digests of the rows of the shard's file, from {@link rowDigests} */
export function areClaimsTrue(digests: Uint32Array, claims: readonly ClaimedRows[]): boolean {
  return claims.every((claim) => {
    const digest = digestOf(claim);
    const rows = digests.subarray(claim.firstRow, claim.firstRow + claim.tileCount);
    return rows.length === claim.tileCount && rows.every((each) => each === digest);
  });
}

const digestOf = ({ utteranceId, version }: Pick<ClaimedRows, 'utteranceId' | 'version'>): number =>
  createHash('sha256').update(`${utteranceId}@${version}`).digest().readUInt32LE();
