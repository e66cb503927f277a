/**
 * The digest of a set of utterance versions: the sum modulo 2^128 of the first 16 bytes of sha256(`id@version`), and of the
 * settings that each corpus's tiles have, so that other tiles of the same versions are another view. Order does not matter,
 * and one version more or less costs one hash, so that a million need not be hashed to learn of one.
 *
 * Does not promise to withstand somebody who looks for two sets of one digest: it compares what this pipeline made itself.
 */
import { hash } from 'node:crypto';

export function versionDigest(utteranceId: string, version: string): bigint {
  const bytes = hash('sha256', `${utteranceId}@${version}`, 'buffer');
  return (bytes.readBigUInt64BE(0) << 64n) | bytes.readBigUInt64BE(8);
}

/** No utterance's id ends with a slash. */
export const settingsDigest = (corpus: string, settingsHash: string): bigint => versionDigest(`${corpus}/`, settingsHash);

export const addDigest = (sum: bigint, digest: bigint): bigint => BigInt.asUintN(128, sum + digest);

/** 32 hex digits. */
export const digestText = (sum: bigint): string => sum.toString(16).padStart(32, '0');
