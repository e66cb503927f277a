/** A small server plays answers that the embedded store never gives. test/integration/storage-object-store.spec.ts tests real stores. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ObjectStore } from './object-store.js';

interface Answer {
  status: number;
  body?: string;
  headers?: Record<string, string>;
}

let server: Server;
let store: ObjectStore;
let answer: (request: IncomingMessage) => Answer;
const requests: string[] = [];

const refusal = (code: string, message = 'Some words.'): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>1</RequestId></Error>`;

beforeEach(async () => {
  requests.length = 0;
  process.env['AWS_ACCESS_KEY_ID'] ??= 'somebody';
  process.env['AWS_SECRET_ACCESS_KEY'] ??= 'something';
  server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url?.split('?')[0]}`);
    const { status, body = '', headers = {} } = answer(request);
    request.resume();
    response.writeHead(status, { 'content-type': 'application/xml', ...headers });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  store = new ObjectStore({ endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', bucket: 'b', forcePathStyle: true });
});
afterEach(async () => {
  store.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const failureOf = (call: Promise<unknown>): Promise<{ code: string; message: string }> =>
  call.then(
    () => {
      throw new Error('It did not fail');
    },
    (error: unknown) => error as { code: string; message: string },
  );

describe('a 4xx about one object', () => {
  it.each([
    [403, 'InvalidObjectState', "The operation is not valid for the object's storage class"],
    [403, 'AccessDenied', 'Access Denied'],
    [400, 'InvalidArgument', 'The key is not good'],
    [416, 'InvalidRange', 'The range is not there'],
  ])('%i %s is OBJECT_REFUSED with the reason, without retries', async (status, code, message) => {
    answer = () => ({ status, body: refusal(code, message) });
    for (const call of [
      () => store.get('corpora/a/1.wav'),
      () => store.head('corpora/a/1.wav'),
      () => store.findRange('corpora/a/1.wav', 0, 9),
    ]) {
      requests.length = 0;
      const failure = await failureOf(call());
      expect(failure.code).toBe('OBJECT_REFUSED');
      expect(failure.message).toContain('corpora/a/1.wav');
      expect(failure.message).toContain(`${code}: ${message} (HTTP ${status})`);
      expect(requests.length).toBeLessThanOrEqual(2);
    }
  });

  it('is OBJECT_REFUSED with its status if it has no body', async () => {
    answer = ({ method }) => (method === 'HEAD' ? { status: 403 } : { status: 200, body: 'x' });
    expect(await failureOf(store.head('a'))).toMatchObject({
      code: 'OBJECT_REFUSED',
      message: expect.stringContaining('(HTTP 403)') as string,
    });
  });

  it('is OBJECT_REFUSED for a download too', async () => {
    answer = () => ({ status: 403, body: refusal('InvalidObjectState') });
    expect((await failureOf(store.download('a', '/nowhere/x'))).code).toBe('OBJECT_REFUSED');
  });

  it('is no error if it means "not found" and the call asks for existence', async () => {
    answer = () => ({ status: 404, body: refusal('NoSuchKey') });
    expect(await store.head('a')).toBeNull();
    expect(await store.find('a')).toBeNull();
    answer = () => ({ status: 404, body: refusal('NoSuchVersion') });
    expect(await store.find('a')).toBeNull();
  });
});

describe('a refusal of the bucket or of the credentials', () => {
  it.each([
    [403, 'InvalidAccessKeyId'],
    [403, 'SignatureDoesNotMatch'],
    [404, 'NoSuchBucket'],
    [301, 'PermanentRedirect'],
    [400, 'AuthorizationHeaderMalformed'],
  ])('%i %s is CONFIG_INVALID in one line for every call', async (status, code) => {
    answer = () => ({ status, body: refusal(code) });
    const calls = [() => store.get('a'), () => store.put('a', 'x'), () => store.list('').next()];
    for (const call of calls) {
      const failure = await failureOf(call() as Promise<unknown>);
      expect(failure.code).toBe('CONFIG_INVALID');
      expect(failure.message).toContain(code);
      expect(failure.message).toContain('bucket b');
      expect(failure.message).not.toContain('\n');
    }
  });

  it('is CONFIG_INVALID with its reason, although the answer to a HEAD has none', async () => {
    answer = () => ({ status: 403, body: refusal('SignatureDoesNotMatch') });
    for (const call of [() => store.ensureBucket(), () => store.head('a')])
      expect(await failureOf(call())).toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('SignatureDoesNotMatch') as string,
      });
  });

  it('includes any other 4xx to a listing, and "access denied" to a write', async () => {
    answer = () => ({ status: 403, body: refusal('AccessDenied') });
    for (const call of [() => store.list('').next(), () => store.put('a', 'x'), () => store.delete('a')])
      expect((await failureOf(call())).code).toBe('CONFIG_INVALID');
  });

  it('does not include a refusal of HEAD alone, because a listable bucket is usable', async () => {
    answer = ({ method }) =>
      method === 'HEAD' ? { status: 403 } : { status: 200, body: '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>' };
    await store.ensureBucket();
  });
});

describe('a retryable answer', () => {
  it.each([
    [503, 'SlowDown'],
    [500, 'InternalError'],
    [400, 'RequestTimeout'],
    [403, 'RequestTimeTooSkewed'],
    [400, 'ExpiredToken'],
  ])('%i %s is STORAGE_UNAVAILABLE', async (status, code) => {
    answer = () => ({ status, body: refusal(code) });
    expect((await failureOf(store.get('a'))).code).toBe('STORAGE_UNAVAILABLE');
  });

  it('includes the page of a proxy', async () => {
    answer = () => ({ status: 200, body: '<html><body>Please log in<br></html>', headers: { 'content-type': 'text/html' } });
    expect((await failureOf(store.list('').next())).code).toBe('STORAGE_UNAVAILABLE');
  });
});

describe('a conditional put', () => {
  it('that conflicts with another write (409) is tried again until the condition is decided', async () => {
    let puts = 0;
    answer = () => (++puts < 3 ? { status: 409, body: refusal('ConditionalRequestConflict') } : { status: 200, headers: { etag: '"e"' } });
    expect(await store.put('a', 'x', { onlyIf: 'absent' })).toBe('e');
    expect(puts).toBe(3);
    puts = 0;
    answer = () =>
      ++puts < 3 ? { status: 409, body: refusal('ConditionalRequestConflict') } : { status: 412, body: refusal('PreconditionFailed') };
    expect(await store.put('a', 'x', { onlyIf: 'absent' })).toBeNull();
  });

  it('with endless conflicts is STORAGE_UNAVAILABLE, and never "it exists"', async () => {
    answer = () => ({ status: 409, body: refusal('ConditionalRequestConflict') });
    expect((await failureOf(store.put('a', 'x', { onlyIf: { etag: 'e' } }))).code).toBe('STORAGE_UNAVAILABLE');
  });
});

describe('a listing', () => {
  it('asks for encoded keys and decodes them, however a store encodes a space', async () => {
    let url = '';
    answer = (request) => {
      url = request.url ?? '';
      const keys = ['a%01b', 'a+b', 'a%20b', 'a%2Bb', 'a%25b', '%EF%BF%BE'].map(
        (key) => `<Contents><Key>${key}</Key><ETag>"e"</ETag><Size>1</Size></Contents>`,
      );
      return {
        status: 200,
        body: `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>${keys.join('')}</ListBucketResult>`,
      };
    };
    const found: string[] = [];
    for await (const { key } of store.list('')) found.push(key);
    expect(url).toContain('encoding-type=url');
    expect(found).toEqual(['a\u0001b', 'a b', 'a b', 'a+b', 'a%b', '\ufffe']);
  });

  it.each(['', '<EncodingType>url</EncodingType>'])('keeps keys unchanged if the store did not encode them %s', async (encoding) => {
    answer = () => ({
      status: 200,
      body: `<ListBucketResult>${encoding}<IsTruncated>false</IsTruncated><Contents><Key>a+b%4</Key></Contents></ListBucketResult>`,
    });
    expect((await store.list('').next()).value).toMatchObject({ key: 'a+b%4' });
  });
});

describe('a key that no store takes', () => {
  it.each(['..', 'corpora/../x', 'corpora/a\u0000.wav', 'corpora/\ud800.wav', 'x'.repeat(1_025)])(
    'is refused before any request: %j',
    async (key) => {
      answer = () => ({ status: 200 });
      const calls = [
        () => store.head(key),
        () => store.find(key),
        () => store.get(key),
        () => store.findRange(key, 0, 1),
        () => store.put(key, ''),
        () => store.delete(key),
        () => store.download(key, '/nowhere/x'),
        () => store.resumeUpload(key),
      ];
      for (const call of calls) expect((await failureOf(call())).code).toBe('OBJECT_KEY_INVALID');
      expect(requests).toEqual([]);
    },
  );
});
