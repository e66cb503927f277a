/**
 * Objects that are sent in parts. An upload that was cut off goes on with the parts that the store has.
 *
 * Delivery: a part with the same number replaces the earlier one, so each call is safe to repeat. Errors are the SDK's:
 * object-store.ts translates them.
 */
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { bareEtag } from './check-answer.js';

/** An object that is sent in parts, and the parts that the store has. */
export interface PartialUpload {
  key: string;
  uploadId: string;
  /** Number, from 1, to ETag. */
  parts: ReadonlyMap<number, string>;
}

/** Goes on with the newest upload of the key that was not completed, or begins one. */
export async function resumeUpload(client: S3Client, bucket: string, key: string): Promise<PartialUpload> {
  const open = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: key }));
  const newest = (open.Uploads ?? [])
    .filter((upload) => upload.Key === key)
    .sort((a, b) => (b.Initiated?.getTime() ?? 0) - (a.Initiated?.getTime() ?? 0))[0];
  if (newest?.UploadId) return { key, uploadId: newest.UploadId, parts: await partsOf(client, bucket, { key, uploadId: newest.UploadId }) };
  const begun = await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key }));
  return { key, uploadId: begun.UploadId as string, parts: new Map() };
}

/** @returns the part's ETag */
export async function sendPart(
  client: S3Client,
  bucket: string,
  { upload: { key, uploadId }, number, bytes }: { upload: PartialUpload; number: number; bytes: Uint8Array },
): Promise<string> {
  const part = { Bucket: bucket, Key: key, UploadId: uploadId, PartNumber: number, Body: bytes };
  return bareEtag((await client.send(new UploadPartCommand(part))).ETag);
}

/** @returns the object's ETag */
export async function completeUpload(
  client: S3Client,
  bucket: string,
  { upload: { key, uploadId }, etags }: { upload: PartialUpload; etags: ReadonlyMap<number, string> },
): Promise<string> {
  const Parts = [...etags].sort(([a], [b]) => a - b).map(([PartNumber, ETag]) => ({ PartNumber, ETag }));
  const whole = { Bucket: bucket, Key: key, UploadId: uploadId, MultipartUpload: { Parts } };
  return bareEtag((await client.send(new CompleteMultipartUploadCommand(whole))).ETag);
}

async function partsOf(
  client: S3Client,
  bucket: string,
  { key, uploadId }: Pick<PartialUpload, 'key' | 'uploadId'>,
): Promise<Map<number, string>> {
  const parts = new Map<number, string>();
  let marker: string | undefined;
  do {
    const page = await client.send(new ListPartsCommand({ Bucket: bucket, Key: key, UploadId: uploadId, PartNumberMarker: marker }));
    for (const { PartNumber, ETag } of page.Parts ?? []) if (PartNumber) parts.set(PartNumber, bareEtag(ETag));
    marker = page.IsTruncated ? page.NextPartNumberMarker : undefined;
  } while (marker);
  return parts;
}
