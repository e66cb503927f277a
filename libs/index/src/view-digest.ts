/**
 * The digest of a set of utterance versions: the sum modulo 2^128 of the first 16 bytes of each sha256(`id@version`). The
 * settings of each corpus's tiles add to the sum too, so that other tiles of the same versions make another view. The order
 * does not matter. One version more or less costs one hash, so a change never needs to hash a million.
 *
 * Does not withstand an attacker who looks for two sets with one digest: it compares only sets of this pipeline.
 */
import { hash } from 'node:crypto';

export function versionDigest(utteranceId: string, version: string): bigint {
  const bytes = hash('sha256', `${utteranceId}@${version}`, 'buffer');
  return (bytes.readBigUInt64BE(0) << 64n) | bytes.readBigUInt64BE(8);
}

/** The slash at the end tells a corpus from an utterance: no utterance id ends with one. */
export const settingsDigest = (corpus: string, settingsHash: string): bigint => versionDigest(`${corpus}/`, settingsHash);

export const addDigest = (sum: bigint, digest: bigint): bigint => BigInt.asUintN(128, sum + digest);

/** @returns 32 hex digits */
export const digestText = (sum: bigint): string => sum.toString(16).padStart(32, '0');
