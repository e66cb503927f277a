/**
 * The object store: put, get, list and conditional put on one bucket. Only libs/storage imports the AWS SDK.
 *
 * The file is longer than 300 lines because all calls share one client and one translation of errors. Multipart uploads, errors and
 * connections have files of their own.
 *
 * Delivery: every call is safe to repeat. After the SDK's own short retries, store-errors.ts translates the store's errors. A
 * missing object is OBJECT_GONE, or null in calls that ask for existence. Keys that no store takes are refused before any request
 * (OBJECT_KEY_INVALID).
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { refuseBadKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { StoreConnection } from '#service/connection-config.js';
import { bareEtag, checkedHead, type ListedObject, listedObject, type ObjectHead } from './check-answer.js';
import { completeUpload, type PartialUpload, resumeUpload, sendPart } from './multipart.js';
import { explainStoreError, isConflict, isMissing, isRefusedCondition, lacksReason, mayPass, type StoreOperation } from './store-errors.js';

export type { ListedObject, ObjectHead };

export interface PutOptions {
  contentType?: string;
  /** `absent`: write only if no object has the key. An ETag: write only if the object still has it. */
  onlyIf?: 'absent' | { etag: string };
}

/** A put that the store answers with 409 is repeated this often: another write of the same key is running, and its end decides the condition. */
const conflictsAtMost = 5;
const conflictWaitMs = 50;
const conflictingWrites = (key: string, cause: unknown): PipelineError =>
  new PipelineError('STORAGE_UNAVAILABLE', `The object store answers repeatedly that other writers change ${key} at the same time`, {
    cause,
    context: { key },
  });

/** Reads into one array from the start, because joining pieces would hold the bytes twice. */
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
 * `absent`: there was no such object, or the condition of a put did not hold. `unavailable`: no answer, or a retryable one.
 * `failed`: any other error.
 */
export type StoreOutcome = 'ok' | 'absent' | 'unavailable' | 'failed';

/** One call as its caller saw it, including the read of the body and the SDK's own short retries. */
export interface StoreCall {
  operation: StoreOperation;
  outcome: StoreOutcome;
  seconds: number;
}

export interface ObjectStoreOptions {
  /** A connection without traffic for this long is closed, because a restarting store may never answer. */
  idleLimitMs?: number;
  onCall?: (call: StoreCall) => void;
  /** Repeats each call after a retryable error, for example `retrying`. Without it a call fails after its own short retries. */
  retry?: <Result>(call: () => Promise<Result>) => Promise<Result>;
}

/** The calls that a bucket and a folder (folder-store.ts) have in common. */
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

  /** Creates the bucket if it does not exist. @throws PipelineError CONFIG_INVALID if the store refuses it or the credentials */
  async ensureBucket(): Promise<void> {
    await this.translated('bucket', async () => {
      try {
        await this.client.send(new HeadBucketCommand({ Bucket: this.bucket }));
      } catch (error) {
        // A refused listing gives the reason. A store may also allow listings and refuse HEAD only.
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

  /** Finds the reason of a refused HEAD: a GET of the same object is refused with a body that gives it. */
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
   * @throws PipelineError OBJECT_CHECKSUM_MISMATCH if it arrived twice with other bytes than were put
   */
  async find(key: string): Promise<{ bytes: Uint8Array; etag: string } | null> {
    return this.findOnce(key).catch((error: unknown) => {
      const spoilt = error instanceof PipelineError && error.code === 'OBJECT_CHECKSUM_MISMATCH';
      if (!spoilt) throw error;
      return this.findOnce(key); // the transfer may have damaged the bytes
    });
  }

  /** @returns `count` bytes from `at` on, or fewer at the object's end; null if there is no such object */
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

  /** Streams an object into a file. @throws PipelineError OBJECT_GONE */
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

  /** @returns the new ETag, or null if the condition did not hold */
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

  /** Continues the newest incomplete upload of the key, or begins one. */
  async resumeUpload(key: string): Promise<PartialUpload> {
    return this.translated('upload', () => resumeUpload(this.client, this.bucket, key), key);
  }

  /** @returns the part's ETag */
  async uploadPart(upload: PartialUpload, number: number, bytes: Uint8Array): Promise<string> {
    return this.translated('upload', () => sendPart(this.client, this.bucket, { upload, number, bytes }), upload.key);
  }

  /** @param etags of all parts, by number @returns the object's ETag */
  async completeUpload(upload: PartialUpload, etags: ReadonlyMap<number, string>): Promise<string> {
    return this.translated('upload', () => completeUpload(this.client, this.bucket, { upload, etags }), upload.key);
  }

  async delete(key: string): Promise<void> {
    await this.translated('delete', () => this.client.send(new DeleteObjectCommand({ Bucket: this.bucket, Key: key })), key);
  }

  /** Yields every object under a prefix, in the store's own order. */
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

  /** Checks the key, makes the call, and translates the store's errors. */
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
