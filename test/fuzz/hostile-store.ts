/**
 * Stands between the services and the object store, and gives some answers of its own: by the name of a recording (see
 * `answersByName`), and by chance to listings and to reads and writes of what is not a recording. It remembers what the services
 * deleted and overwrote. The test itself talks past it.
 */
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SeededRandom } from '../chaos/seeded-random.js';

interface OwnAnswer {
  method: 'GET' | 'HEAD';
  /** So many requests for one key are answered in this way; then the store answers. */
  times: number;
  give: (response: ServerResponse, genuine: IncomingMessage | null) => void;
  /** The store is asked too, since its answer is changed rather than replaced. */
  changes?: true;
  /** Of the dead letter that must follow; null: the recording must arrive. */
  code: 'OBJECT_REFUSED' | null;
}

const xml = (code: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>made by a test</Message><RequestId>1</RequestId></Error>`;

const refuse =
  (status: number, code: string) =>
  (response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(response.req.method === 'HEAD' ? undefined : xml(code));
  };

const always = Infinity;
/** More often than the client of the store tries a request by itself. */
const aFewTimes = 4;

/** A recording is named `<one of these>-<number>.wav`. */
export const answersByName: Record<string, OwnAnswer> = {
  'get-400': { method: 'GET', times: always, give: refuse(400, 'InvalidRequest'), code: 'OBJECT_REFUSED' },
  'get-403-archived': { method: 'GET', times: always, give: refuse(403, 'InvalidObjectState'), code: 'OBJECT_REFUSED' },
  'get-403-denied': { method: 'GET', times: always, give: refuse(403, 'AccessDenied'), code: 'OBJECT_REFUSED' },
  'get-416': { method: 'GET', times: always, give: refuse(416, 'InvalidRange'), code: 'OBJECT_REFUSED' },
  'head-400': { method: 'HEAD', times: always, give: refuse(400, 'InvalidRequest'), code: 'OBJECT_REFUSED' },
  'head-403': { method: 'HEAD', times: always, give: refuse(403, 'AccessDenied'), code: 'OBJECT_REFUSED' },
  'head-without-etag': { method: 'HEAD', times: always, give: headOf({ 'content-length': '1000' }), code: 'OBJECT_REFUSED' },
  'get-404-at-first': { method: 'GET', times: 1, give: refuse(404, 'NoSuchKey'), code: null },
  'get-429-at-first': { method: 'GET', times: aFewTimes, give: refuse(429, 'SlowDown'), code: null },
  'get-500-at-first': { method: 'GET', times: aFewTimes, give: refuse(500, 'InternalError'), code: null },
  'get-503-at-first': { method: 'GET', times: aFewTimes, give: refuse(503, 'SlowDown'), code: null },
  'get-reset-at-first': { method: 'GET', times: aFewTimes, give: (response) => response.destroy(), code: null },
  'get-page-at-first': { method: 'GET', times: 1, give: page, code: null },
  'get-cut-at-first': { method: 'GET', times: 2, give: cut, changes: true, code: null },
  'get-other-etag-at-first': { method: 'GET', times: 1, give: withOtherEtag, changes: true, code: null },
  'head-404-at-first': { method: 'HEAD', times: 1, give: refuse(404, 'NoSuchKey'), code: null },
  'head-500-at-first': { method: 'HEAD', times: aFewTimes, give: refuse(500, 'InternalError'), code: null },
  'head-reset-at-first': { method: 'HEAD', times: aFewTimes, give: (response) => response.destroy(), code: null },
};

function headOf(headers: Record<string, string>) {
  return (response: ServerResponse): void => {
    response.writeHead(200, headers);
    response.end();
  };
}

function page(response: ServerResponse): void {
  response.writeHead(502, { 'content-type': 'text/html' });
  response.end('<html><body>Bad gateway</body></html>');
}

/** Half of the bytes that were promised. */
function cut(response: ServerResponse, genuine: IncomingMessage | null): void {
  response.writeHead(genuine?.statusCode ?? 500, genuine?.headers);
  genuine?.once('data', (chunk: Buffer) => {
    response.write(chunk.subarray(0, chunk.length >> 1), () => response.destroy());
    genuine.destroy();
  });
}

function withOtherEtag(response: ServerResponse, genuine: IncomingMessage | null): void {
  response.writeHead(genuine?.statusCode ?? 500, { ...genuine?.headers, etag: `"${'0'.repeat(32)}"` });
  genuine?.pipe(response);
}

/** To a listing or to what is no recording, by chance: all of it passes. */
const passing: ((response: ServerResponse) => void)[] = [
  refuse(500, 'InternalError'),
  refuse(503, 'SlowDown'),
  refuse(429, 'TooManyRequests'),
  page,
  (response) => response.destroy(),
];
const garbledListings: ((response: ServerResponse) => void)[] = [
  ...passing,
  (response) => response.end('<?xml version="1.0"?><ListBucketResult><Contents><Key>corpora/'),
  (response) => response.end('this is no XML'),
];

export class HostileStore {
  /** Keys, decoded. */
  readonly deleted = new Set<string>();
  readonly written = new Set<string>();
  /** Answers that were its own, by kind. */
  readonly given: Record<string, number> = {};
  /** Share of listings, and of requests for what is no recording, that get a passing error. */
  trouble = { listings: 0, others: 0 };
  private readonly asked = new Map<string, number>();
  private readonly target: URL;
  private readonly server: Server;

  constructor(
    private readonly bucket: string,
    private readonly random: SeededRandom,
  ) {
    this.target = new URL(process.env['S3_ENDPOINT'] ?? '');
    this.server = createServer((incoming, response) => this.answer(incoming, response));
    this.server.on('clientError', (_error, socket) => socket.destroy());
  }

  /** @returns its address */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private answer(incoming: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '' } = incoming;
    const { pathname, searchParams } = new URL(url, this.target);
    const key = decodeURIComponent(pathname.slice(1)).slice(this.bucket.length + 1);
    const own = this.ownAnswer(method, key);
    if (own) {
      this.count(own.name);
      if (!own.answer.changes) return own.answer.give(response, null);
      return this.pass(incoming, response, (genuine) => own.answer.give(response, genuine));
    }
    const isListing = method === 'GET' && searchParams.has('list-type');
    const isRecording = key.startsWith('corpora/');
    if (isListing && this.random.chance(this.trouble.listings)) return this.giveOneOf(garbledListings, 'a listing', response);
    if (!isListing && !isRecording && key !== '' && this.random.chance(this.trouble.others))
      return this.giveOneOf(passing, `${method} of no recording`, response);
    if (method === 'DELETE') this.deleted.add(key);
    if (method === 'PUT' || method === 'POST') this.written.add(key);
    this.pass(incoming, response, (genuine) => {
      response.writeHead(genuine.statusCode ?? 500, genuine.headers);
      genuine.pipe(response);
    });
  }

  private giveOneOf(answers: readonly ((response: ServerResponse) => void)[], name: string, response: ServerResponse): void {
    this.count(name);
    response.req.resume();
    this.random.pick(answers)(response);
  }

  private ownAnswer(method: string, key: string): { name: string; answer: OwnAnswer } | null {
    const name = /\/([a-z0-9-]+)-\d+\.wav$/.exec(key)?.[1] ?? '';
    const answer = Object.hasOwn(answersByName, name) ? answersByName[name] : undefined;
    if (!answer || answer.method !== method) return null;
    const times = (this.asked.get(`${method} ${key}`) ?? 0) + 1;
    this.asked.set(`${method} ${key}`, times);
    return times <= answer.times ? { name, answer } : null;
  }

  private pass(incoming: IncomingMessage, response: ServerResponse, give: (genuine: IncomingMessage) => void): void {
    const { method, url, headers } = incoming;
    const { hostname, port } = this.target;
    const passedOn = request({ hostname, port, method, path: url, headers }, (genuine) => {
      genuine.on('error', () => response.destroy());
      give(genuine);
    });
    passedOn.on('error', () => response.destroy());
    response.on('close', () => passedOn.destroy());
    incoming.pipe(passedOn);
  }

  private count(name: string): void {
    this.given[name] = (this.given[name] ?? 0) + 1;
  }
}
