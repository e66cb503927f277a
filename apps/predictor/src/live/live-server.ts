/**
 * `WS /stream`: takes PCM and answers every second. The same guard as for HTTP decides who may connect (http-access.ts).
 *
 * The query names `rate` (8000 to 48000) and `channels` (1 or 2), or `resume` with the token of a stream that was cut. The client
 * sends 16-bit little-endian samples in binary messages, and the text `end` at the end. docs/serving.md lists the messages.
 */
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import { z } from 'zod';
import { PipelineError } from '#contracts/pipeline-error.js';
import { type HttpAccess, refusalOf } from '#service/http-access.js';
import { problemOf } from '../problem.js';
import { type LiveFormat, LiveSession, type LivePlace } from './live-session.js';
import { LiveSessions } from './live-sessions.js';

export interface LiveServerOptions {
  access: HttpAccess;
  limits: { mostStreams: number; memoryBytes: number; maxSec: number; keptMs: number };
  /** Width of a window; throws MODEL_MISSING. */
  windowSec: () => Promise<number>;
  score: (wav: Uint8Array) => Promise<object>;
  onError: (error: unknown) => void;
}

const everySec = 1;
const largestMessageBytes = 1_000_000;
/** Close codes of the WebSocket protocol. */
const closeCodes = { done: 1000, tooLarge: 1009, refused: 1008, failed: 1011, later: 1013 } as const;

const querySchema = z.strictObject({
  rate: z.coerce.number().int().min(8_000).max(48_000).default(16_000),
  channels: z.coerce.number().int().min(1).max(2).default(1),
});

export class LiveServer {
  private readonly sockets = new WebSocketServer({ noServer: true, maxPayload: largestMessageBytes, perMessageDeflate: false });
  private readonly sessions: LiveSessions;

  constructor(private readonly options: LiveServerOptions) {
    this.sessions = new LiveSessions(options.limits);
  }

  get count(): number {
    return this.sessions.count;
  }

  listen(server: Server): void {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => this.upgrade(request, socket, head));
  }

  close(): void {
    for (const socket of this.sockets.clients) socket.terminate();
    this.sockets.close();
    this.sessions.close();
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
    const { headers } = request;
    const refusal = refusalOf({ method: 'GET', path: pathname, headers, localAddress: request.socket.localAddress }, this.options.access);
    if (refusal) return refuse(socket, refusal.status, refusal.message);
    if (pathname !== '/stream') return refuse(socket, 404, 'Live streams are at /stream.');
    this.sockets.handleUpgrade(request, socket, head, (client) => {
      this.serve(client, searchParams).catch((error: unknown) => this.refuse(client, error));
    });
  }

  private async serve(client: WebSocket, query: URLSearchParams): Promise<void> {
    const early: RawData[] = [];
    const keepEarly = (data: RawData): void => void early.push(data);
    client.on('message', keepEarly); // messages that come before the session is there
    client.on('error', () => client.terminate());
    const { token, session } = await this.open(client, query);
    client.off('message', keepEarly);
    const take = (data: RawData, isBinary: boolean): void => this.take(client, { token, session, data, isBinary });
    client.on('message', take);
    client.on('close', () => this.sessions.cut(token));
    if (client.readyState !== client.OPEN) return this.sessions.cut(token);
    for (const data of early) take(data, true);
  }

  private async open(client: WebSocket, query: URLSearchParams): Promise<{ token: string; session: LiveSession }> {
    const link = { send: (message: object) => client.send(JSON.stringify(message)) };
    const resumed = query.get('resume');
    if (resumed !== null) return { token: resumed, session: this.sessions.resume(resumed, link) };
    const parsed = querySchema.safeParse(Object.fromEntries(query));
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new PipelineError('REQUEST_INVALID', `The query is wrong. ${issue?.path.join('.')}: ${issue?.message}`);
    }
    const format = { sampleRateHz: parsed.data.rate, channels: parsed.data.channels };
    const windowSec = await this.options.windowSec();
    const begun = this.sessions.begin((token) => this.sessionOf(token, format, windowSec), link);
    link.send({ type: 'started', resume: begun.token, resumeWithinSec: this.options.limits.keptMs / 1000, windowSec, everySec });
    return begun;
  }

  private sessionOf(token: string, format: LiveFormat, windowSec: number): LiveSession {
    const { score, limits } = this.options;
    return new LiveSession({
      ...{ format, windowSec, everySec, maxSec: limits.maxSec, score },
      answer: (answer) => this.sessions.tell(token, answer),
      problem: (place: LivePlace, error) => {
        if (!(error instanceof PipelineError)) this.options.onError(error);
        this.sessions.tell(token, { ...place, problem: problemOf(error) });
      },
    });
  }

  private take(client: WebSocket, message: { token: string; session: LiveSession; data: RawData; isBinary: boolean }): void {
    const { token, session, data, isBinary } = message;
    try {
      if (isBinary) {
        session.take(Buffer.isBuffer(data) ? data : Buffer.concat([data].flat() as Buffer[]));
        if (session.isBehind) this.letWait(client, session);
        return;
      }
      if ((data as Buffer).toString() !== 'end') throw new PipelineError('REQUEST_INVALID', 'A text message may only be "end".');
      void session.end().then(() => {
        this.sessions.tell(token, { type: 'ended' });
        this.sessions.end(token);
        client.close(closeCodes.done);
      });
    } catch (error) {
      this.sessions.end(token);
      this.refuse(client, error);
    }
  }

  /** Reads nothing more from the client until its windows are answered. TCP then slows the client down. */
  private letWait(client: WebSocket, session: LiveSession): void {
    client.pause();
    void session.drained().then(() => client.resume());
  }

  private refuse(client: WebSocket, error: unknown): void {
    if (!(error instanceof PipelineError)) this.options.onError(error);
    const problem = problemOf(error);
    if (client.readyState !== client.OPEN) return;
    client.send(JSON.stringify({ type: 'refused', problem }));
    const code = problem.status === 503 ? closeCodes.later : problem.status === 500 ? closeCodes.failed : closeCodes.refused;
    client.close(code, problem.code ?? problem.title);
  }
}

function refuse(socket: Duplex, status: number, message: string): void {
  const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail: message });
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/problem+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`;
  socket.end(head + body);
}
