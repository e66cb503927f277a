/**
 * The object store: put, get, list and conditional put on one bucket. The only importer of the AWS SDK.
 *
 * Delivery: every call is safe to repeat. store-errors.ts says what errors of the store become, after the SDK's own short
 * retries; a missing object is OBJECT_GONE, or null where asking is the point. Keys that no store takes are refused before
 * any request (OBJECT_KEY_INVALID).
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { refuseBadKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { StoreConnection } from '#service/connection-config.js';
import { bareEtag, checkedHead, type ListedObject, listedObject, type ObjectHead } from './check-answer.js';
import { explainStoreError, isConflict, isMissing, isRefusedCondition, lacksReason, mayPass, type StoreOperation } from './store-errors.js';

export type { ListedObject, ObjectHead };

/** An object that is sent in parts, and what the store has of it. */
export interface PartialUpload {
  key: string;
  uploadId: string;
  /** Number, from 1, to ETag. */
  parts: ReadonlyMap<number, string>;
}

export interface PutOptions {
  contentType?: string;
  /** `absent`: only if no object has the key. An ETag: only if the object still is that one. */
  onlyIf?: 'absent' | { etag: string };
}

/** A store that answers 409 to a put has another write of the same key under way; whether the condition holds shows then. */
const conflictsAtMost = 5;
const conflictWaitMs = 50;
const conflictingWrites = (key: string, cause: unknown): PipelineError =>
  new PipelineError('STORAGE_UNAVAILABLE', `The object store answers again and again that others write ${key} at the same time`, {
    cause,
    context: { key },
  });

/** Into one array from the start: pieces to be joined would be held twice. */
async function readAll({ Body, ContentLength }: GetObjectCommandOutput): Promise<Uint8Array> {
  if (!Body || ContentLength === undefined) return (await Body?.transformToByteArray()) ?? new Uint8Array();
  const bytes = new Uint8Array(ContentLength);
  let at = 0;
  for await (const piece of Body as Readable) {
    bytes.set(piece as Uint8Array, at);
    at += (piece as Uint8Array).length;
  }
  if (at < ContentLength) throw new PipelineError('STORAGE_UNAVAILABLE', `The object store sent ${at} of ${ContentLength} bytes`);
  return bytes;
}
export const sha256Hex = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

export type { StoreOperation };
/**
 * `absent`: there was no such object, or a condition of a put did not hold. `unavailable`: no answer, or one that says to
 * come again. `failed`: any other error.
 */
export type StoreOutcome = 'ok' | 'absent' | 'unavailable' | 'failed';

/** One call as its caller saw it: the body read, and the SDK's own short retries, included. */
export interface StoreCall {
  operation: StoreOperation;
  outcome: StoreOutcome;
  seconds: number;
}

export interface ObjectStoreOptions {
  /** A connection on which nothing moves for this long is given up; a store that restarts may never answer. */
  idleLimitMs?: number;
  onCall?: (call: StoreCall) => void;
  /** Makes each call again while it may pass, `retrying` for example. Without it a call fails once its own short retries have. */
  retry?: <Result>(call: () => Promise<Result>) => Promise<Result>;
}

/** What those need who read and write objects, wherever these are: a bucket, or a folder (folder-store.ts). */
export type Objects = Pick<ObjectStore, 'head' | 'get' | 'find' | 'findJson' | 'put' | 'delete' | 'list'>;

export class ObjectStore {
  private readonly client: S3Client;
  readonly bucket: string;
  private readonly onCall: (call: StoreCall) => void;
  private readonly retry: NonNullable<ObjectStoreOptions['retry']>;

  constructor(
    connection: StoreConnection,
    { idleLimitMs = 30_000, onCall = () => undefined, retry = (call) => call() }: ObjectStoreOptions = {},
  ) {
    this.bucket = connection.bucket;
    this.onCall = onCall;
    this.retry = retry;
    this.client = new S3Client({
      region: connection.region,
      endpoint: connection.endpoint,
      forcePathStyle: connection.forcePathStyle,
      maxAttempts: 4,
      requestHandler: { connectionTimeout: 5_000, socketTimeout: idleLimitMs },
    });
  }

  /** Makes the bucket unless it is there. @throws PipelineError CONFIG_INVALID if the store refuses it or the credentials */
  async ensureBucket(): Promise<void> {
    await this.translated('bucket', async () => {
      try {
        await this.client.send(new HeadBucketCommand({ Bucket: this.bucket }));
      } catch (error) {
        // A listing is refused with the reason, or allowed where only HEAD is not.
        if (lacksReason(error)) return void (await this.client.send(new ListObjectsV2Command({ Bucket: this.bucket, MaxKeys: 1 })));
        if (!isMissing(error)) throw error;
        await this.client.send(new CreateBucketCommand({ Bucket: this.bucket })).catch((reason: unknown) => {
          if ((reason as Error).name !== 'BucketAlreadyOwnedByYou') throw reason;
        });
      }
    });
  }

  /** @returns null if there is no such object */
  async head(key: string): Promise<ObjectHead | null> {
    return this.translated(
      'head',
      async () => {
        try {
          const found = await this.client.send(new HeadObjectCommand({ Bucket: this.bucket, Key: key }));
          return checkedHead(key, bareEtag(found.ETag), found.ContentLength);
        } catch (error) {
          if (isMissing(error)) return null;
          throw lacksReason(error) ? await this.reasonOfRefusal(key, error) : error;
        }
      },
      key,
    );
  }

  /** Of the error to a HEAD: a GET of the same object is refused with a body that says why. */
  private async reasonOfRefusal(key: string, refusal: unknown): Promise<unknown> {
    try {
      await this.client.send(new GetObjectCommand({ Bucket: this.bucket, Key: key, Range: 'bytes=0-0' }));
      return refusal;
    } catch (error) {
      return error;
    }
  }

  /** @throws PipelineError OBJECT_GONE */
  async get(key: string): Promise<{ bytes: Uint8Array; etag: string }> {
    const found = await this.find(key);
    if (!found) throw new PipelineError('OBJECT_GONE', `There is no object ${key} in bucket ${this.bucket}`, { context: { key } });
    return found;
  }

  /**
   * @returns null if there is no such object
   * @throws PipelineError OBJECT_CHECKSUM_MISMATCH when it came with other bytes than were put, twice
   */
  async find(key: string): Promise<{ bytes: Uint8Array; etag: string } | null> {
    return this.findOnce(key).catch((error: unknown) => {
      const spoilt = error instanceof PipelineError && error.code === 'OBJECT_CHECKSUM_MISMATCH';
      if (!spoilt) throw error;
      return this.findOnce(key); // it may have been the way
    });
  }

  /** @returns `count` bytes from `at` on, fewer where the object ends before; null if there is no such object */
  async findRange(key: string, at: number, count: number): Promise<Uint8Array | null> {
    return this.translated(
      'range',
      async () => {
        try {
          const range = `bytes=${at}-${at + count - 1}`;
          return await readAll(await this.client.send(new GetObjectCommand({ Bucket: this.bucket, Key: key, Range: range })));
        } catch (error) {
          if (isMissing(error)) return null;
          throw error;
        }
      },
      key,
    );
  }

  private async findOnce(key: string): Promise<{ bytes: Uint8Array; etag: string } | null> {
    return this.translated(
      'get',
      async () => {
        try {
          const found = await this.client.send(new GetObjectCommand({ Bucket: this.bucket, Key: key }));
          return { bytes: await readAll(found), etag: bareEtag(found.ETag) };
        } catch (error) {
          if (isMissing(error)) return null;
          throw error;
        }
      },
      key,
    );
  }

  /** Writes an object to a file as it comes. @throws PipelineError OBJECT_GONE */
  async download(key: string, path: string): Promise<void> {
    await this.translated(
      'get',
      async () => {
        try {
          const found = await this.client.send(new GetObjectCommand({ Bucket: this.bucket, Key: key }));
          await pipeline(found.Body as Readable, createWriteStream(path));
        } catch (error) {
          if (!isMissing(error)) throw error;
          throw new PipelineError('OBJECT_GONE', `There is no object ${key} in bucket ${this.bucket}`, { context: { key } });
        }
      },
      key,
    );
  }

  async findJson(key: string): Promise<unknown> {
    const found = await this.find(key);
    return found ? JSON.parse(new TextDecoder().decode(found.bytes)) : null;
  }

  /** @returns the new ETag, or null when the condition did not hold */
  async put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<string | null> {
    const { onlyIf, contentType } = options;
    const command = {
      Bucket: this.bucket,
      Key: key,
      Body: body,
      ContentType: contentType,
      IfNoneMatch: onlyIf === 'absent' ? '*' : undefined,
      IfMatch: typeof onlyIf === 'object' ? `"${onlyIf.etag}"` : undefined,
    };
    return this.translated(
      'put',
      async () => {
        for (let conflicts = 0; ; conflicts++) {
          try {
            return bareEtag((await this.client.send(new PutObjectCommand(command))).ETag);
          } catch (error) {
            if (onlyIf && (isRefusedCondition(error) || isMissing(error))) return null;
            if (!isConflict(error)) throw error;
            if (conflicts === conflictsAtMost) throw conflictingWrites(key, error);
            await sleep(Math.random() * conflictWaitMs * 2 ** conflicts);
          }
        }
      },
      key,
    );
  }

  /** Goes on with the newest upload of the key that was not completed, or begins one. */
  async resumeUpload(key: string): Promise<PartialUpload> {
    return this.translated(
      'upload',
      async () => {
        const open = await this.client.send(new ListMultipartUploadsCommand({ Bucket: this.bucket, Prefix: key }));
        const newest = (open.Uploads ?? [])
          .filter((upload) => upload.Key === key)
          .sort((a, b) => (b.Initiated?.getTime() ?? 0) - (a.Initiated?.getTime() ?? 0))[0];
        if (newest?.UploadId) return { key, uploadId: newest.UploadId, parts: await this.partsOf(key, newest.UploadId) };
        const begun = await this.client.send(new CreateMultipartUploadCommand({ Bucket: this.bucket, Key: key }));
        return { key, uploadId: begun.UploadId as string, parts: new Map() };
      },
      key,
    );
  }

  /** @returns the part's ETag */
  async uploadPart({ key, uploadId }: PartialUpload, number: number, bytes: Uint8Array): Promise<string> {
    return this.translated(
      'upload',
      async () => {
        const sent = await this.client.send(
          new UploadPartCommand({ Bucket: this.bucket, Key: key, UploadId: uploadId, PartNumber: number, Body: bytes }),
        );
        return bareEtag(sent.ETag);
      },
      key,
    );
  }

  /** @returns the object's ETag */
  async completeUpload({ key, uploadId }: PartialUpload, etags: ReadonlyMap<number, string>): Promise<string> {
    const Parts = [...etags].sort(([a], [b]) => a - b).map(([PartNumber, ETag]) => ({ PartNumber, ETag }));
    return this.translated(
      'upload',
      async () => {
        const done = await this.client.send(
          new CompleteMultipartUploadCommand({ Bucket: this.bucket, Key: key, UploadId: uploadId, MultipartUpload: { Parts } }),
        );
        return bareEtag(done.ETag);
      },
      key,
    );
  }

  private async partsOf(key: string, uploadId: string): Promise<Map<number, string>> {
    const parts = new Map<number, string>();
    let marker: string | undefined;
    do {
      const page = await this.client.send(
        new ListPartsCommand({ Bucket: this.bucket, Key: key, UploadId: uploadId, PartNumberMarker: marker }),
      );
      for (const { PartNumber, ETag } of page.Parts ?? []) if (PartNumber) parts.set(PartNumber, bareEtag(ETag));
      marker = page.IsTruncated ? page.NextPartNumberMarker : undefined;
    } while (marker);
    return parts;
  }

  async delete(key: string): Promise<void> {
    await this.translated('delete', () => this.client.send(new DeleteObjectCommand({ Bucket: this.bucket, Key: key })), key);
  }

  /** Every object under a prefix, in the store's own order. */
  async *list(prefix: string): AsyncGenerator<ListedObject> {
    let token: string | undefined;
    do {
      const continuation = token;
      const page = await this.translated(
        'list',
        () =>
          this.client.send(
            new ListObjectsV2Command({ Bucket: this.bucket, Prefix: prefix, ContinuationToken: continuation, EncodingType: 'url' }),
          ),
        prefix,
      );
      for (const object of page.Contents ?? []) {
        const listed = listedObject(object, page.EncodingType);
        if (listed) yield listed;
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token);
  }

  close(): void {
    this.client.destroy();
  }

  /** Keys are checked first; errors become what they mean. */
  private async translated<Result>(operation: StoreOperation, call: () => Promise<Result>, key?: string): Promise<Result> {
    if (key !== undefined && operation !== 'list') refuseBadKey(key);
    return this.retry(() => this.attempt(operation, call, key));
  }

  private async attempt<Result>(operation: StoreOperation, call: () => Promise<Result>, key?: string): Promise<Result> {
    const startedAt = performance.now();
    const note = (outcome: StoreOutcome): void => this.onCall({ operation, outcome, seconds: (performance.now() - startedAt) / 1000 });
    try {
      const result = await call();
      note(result === null ? 'absent' : 'ok');
      return result;
    } catch (error) {
      note(outcomeOf(error));
      throw explainStoreError(error, { operation, bucket: this.bucket, key });
    }
  }
}

function outcomeOf(error: unknown): StoreOutcome {
  if (error instanceof PipelineError && error.code === 'OBJECT_GONE') return 'absent';
  return mayPass(error) || (error instanceof PipelineError && error.fate === 'retryable') ? 'unavailable' : 'failed';
}
