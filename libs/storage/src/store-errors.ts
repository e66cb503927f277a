/**
 * Translates errors of the object store: try again, this object is refused, or the whole bucket is refused.
 *
 * | the store answers                                                    | error                                    |
 * |----------------------------------------------------------------------|------------------------------------------|
 * | nothing, or a broken connection; 5xx, 429, throttling; a clock or a session token that is off | STORAGE_UNAVAILABLE (retried) |
 * | something that is not S3, such as the page of a proxy                | STORAGE_UNAVAILABLE (retried)            |
 * | that it does not know the access key, the signature, the bucket or the region | CONFIG_INVALID                  |
 * | any other 4xx to a question about the bucket, or "access denied" to a write | CONFIG_INVALID                    |
 * | any other 4xx about one object: archived, denied, an unusable key or range | OBJECT_REFUSED                     |
 *
 * A missing object, and a condition that does not hold, are answers and not errors (object-store.ts).
 */
import { NoSuchKey, NotFound } from '@aws-sdk/client-s3';
import { PipelineError } from '#contracts/pipeline-error.js';

/** The operations of a store, as the metrics count them. */
export type StoreOperation = 'bucket' | 'head' | 'get' | 'range' | 'put' | 'upload' | 'delete' | 'list';

export interface StoreQuestion {
  operation: StoreOperation;
  bucket: string;
  key?: string | undefined;
}

interface Answered {
  $metadata?: { httpStatusCode?: number };
  $response?: { statusCode?: number };
}

export function httpStatus(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { $metadata, $response } = error as Error & Answered;
  return $metadata?.httpStatusCode ?? $response?.statusCode;
}

/** Codes of a missing object. NoSuchBucket is not one: it says nothing about objects. (The answer to a HEAD does not distinguish them.) */
export const isMissing = (error: unknown): boolean =>
  error instanceof NotFound || error instanceof NoSuchKey || (httpStatus(error) === 404 && (error as Error).name !== 'NoSuchBucket');
export const isRefusedCondition = (error: unknown): boolean => httpStatus(error) === 412;
/** True if another write to the same key was running, so that the condition is not decided yet. */
export const isConflict = (error: unknown): boolean => httpStatus(error) === 409;
/** True for an answer to a HEAD: it has no body, so another request has to find the reason. */
export const lacksReason = (error: unknown): boolean => {
  const status = httpStatus(error);
  return status !== undefined && status >= 400 && status < 500 && !isMissing(error) && !mayPass(error);
};

/** @returns the translated error; an error that is no answer of a store, such as a bug, stays unchanged */
export function explainStoreError(error: unknown, { operation, bucket, key }: StoreQuestion): unknown {
  if (error instanceof PipelineError || !(error instanceof Error)) return error;
  const reason = reasonOf(error);
  const explained = (code: 'STORAGE_UNAVAILABLE' | 'CONFIG_INVALID' | 'OBJECT_REFUSED' | 'OBJECT_CHECKSUM_MISMATCH', message: string) =>
    new PipelineError(code, message, { cause: error, context: { key } });
  // The SDK compares the bytes with the checksum that the store keeps.
  if (error.message.startsWith('Checksum mismatch'))
    return explained('OBJECT_CHECKSUM_MISMATCH', `${key} arrived with other bytes than were put`);
  if (mayPass(error)) return explained('STORAGE_UNAVAILABLE', `The object store did not answer: ${reason}`);
  if (isNoAnswerOfS3(error))
    return explained(
      'STORAGE_UNAVAILABLE',
      `The server at S3_ENDPOINT does not answer like an object store: ${reason}. Check S3_ENDPOINT and any proxy before it`,
    );
  if (error.name === 'CredentialsProviderError')
    return explained(
      'CONFIG_INVALID',
      `No credentials for bucket ${bucket} were found: ${reason}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.`,
    );
  const status = httpStatus(error);
  if (status === undefined || status < 300) return error;
  if (isOfBucket(error.name, operation, status)) return explained('CONFIG_INVALID', refusedBucket(bucket, reason));
  return explained('OBJECT_REFUSED', `The object store refuses ${key ?? `a request to bucket ${bucket}`}: ${reason}`);
}

const refusedBucket = (bucket: string, reason: string): string =>
  `The object store refuses bucket ${bucket}: ${reason}. Check S3_BUCKET, S3_ENDPOINT, S3_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what that key may do.`;

/** @returns the store's code, its message and the status */
function reasonOf(error: Error): string {
  const status = httpStatus(error);
  const isNamed = error.name !== '' && error.name !== 'Error' && !/^(Unknown|UnknownError|\d+)$/.test(error.name);
  const words = [isNamed ? error.name : '', /^Unknown(Error)?$/.test(error.message) ? '' : error.message].filter((each) => each !== '');
  const text = [...new Set(words)].join(': ') || (status === undefined ? 'no reason given' : '');
  return status === undefined ? text : `${text}${text && ' '}(HTTP ${status})`;
}

const ofCredentials = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'InvalidToken',
  'InvalidSecurity',
  'NotSignedUp',
  'AccountProblem',
  'AllAccessDisabled',
  'NoSuchBucket',
  'InvalidBucketName',
  'BucketAlreadyExists',
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
]);
const writes = new Set<StoreOperation>(['put', 'upload', 'delete']);

function isOfBucket(name: string, operation: StoreOperation, status: number): boolean {
  if (ofCredentials.has(name) || status < 400) return true;
  if (operation === 'bucket' || operation === 'list') return true;
  return writes.has(operation) && (status === 401 || status === 403);
}

/** True for an answer that is not S3, such as the page of a proxy or a login. */
const isNoAnswerOfS3 = (error: Error): boolean =>
  error.name === 'SyntaxError' || /deserialization error|is not expected|unclosed|invalid xml/i.test(error.message);

const passingCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'UND_ERR_SOCKET',
]);
const passingNames = new Set([
  'TimeoutError',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
  'RequestTimeout',
  'RequestTimeTooSkewed', // the SDK corrects its clock, so the next try succeeds
  'ExpiredToken',
  'ExpiredTokenException',
  'InternalError',
  'ServiceUnavailable',
]);

export function mayPass(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const status = httpStatus(error);
  if (status !== undefined && (status >= 500 || status === 429 || status === 408)) return true;
  const code = (error as NodeJS.ErrnoException).code;
  // If a socket closes in the middle of a body, the SDK throws a plain Error named 'aborted'.
  return (
    (code !== undefined && passingCodes.has(code)) ||
    passingNames.has(error.name) ||
    /socket hang up|aborted|terminated/i.test(error.message)
  );
}
