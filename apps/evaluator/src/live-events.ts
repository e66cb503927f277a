/**
 * The state as server-sent events, for many clients at once.
 *
 * Each state is serialised once, and all clients share its bytes. A client that reads too slowly misses states: while its
 * connection is full nothing is added, and once it drains it gets the newest state. A client that takes nothing for half a
 * minute is disconnected. So a client holds at most one state in memory, and at most 64 clients are served; the next one is
 * answered 503 with Retry-After.
 */
import type { ServerResponse } from 'node:http';
import type { Observable, Subscription } from 'rxjs';

export interface LiveEventsOptions {
  state: () => unknown;
  /** The state, whenever it has changed. */
  changes: Observable<unknown>;
  mostClients?: number;
  /** After this long without taking anything a client is disconnected. */
  patienceMs?: number;
}

interface Client {
  /** A state came while the connection was full. */
  missed: boolean;
  /** Ends a client that stays full. */
  impatience: NodeJS.Timeout | undefined;
}

/** Several requests within this time are answered with the same bytes. */
const freshForMs = 500;
const retryAfterSec = 10;

export class LiveEvents {
  readonly mostClients: number;
  private readonly patienceMs: number;
  private readonly clients = new Map<ServerResponse, Client>();
  private subscription: Subscription | undefined;
  private newest: { json: string; event: Buffer; atMs: number } | undefined;

  constructor(private readonly options: LiveEventsOptions) {
    this.mostClients = options.mostClients ?? 64;
    this.patienceMs = options.patienceMs ?? 30_000;
  }

  get count(): number {
    return this.clients.size;
  }

  get isFull(): boolean {
    return this.clients.size >= this.mostClients;
  }

  /** The state as JSON, at most half a second old. */
  get json(): string {
    return this.current().json;
  }

  /** Follows the state until the client goes. */
  open(response: ServerResponse): void {
    if (this.isFull) return this.refuse(response);
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'private, no-cache, no-store, no-transform',
      connection: 'keep-alive',
      'x-accel-buffering': 'no',
    });
    const client: Client = { missed: false, impatience: undefined };
    this.clients.set(response, client);
    this.subscription ??= this.options.changes.subscribe((state) => this.publish(state));
    response.on('drain', () => this.drained(response, client));
    response.on('error', () => response.destroy());
    response.on('close', () => this.closed(response, client));
    this.send(response, client, this.current().event);
  }

  /** Ends all streams. Left open, a connection would take the page's next request, and the server would never be done. */
  close(): void {
    for (const response of this.clients.keys()) {
      const { socket } = response;
      response.end();
      socket?.destroySoon();
    }
  }

  private publish(state: unknown): void {
    const { event } = this.keep(state);
    for (const [response, client] of this.clients) this.send(response, client, event);
  }

  private send(response: ServerResponse, client: Client, event: Buffer): void {
    if (response.writableNeedDrain) client.missed = true;
    else if (!response.write(event)) client.impatience = setTimeout(() => response.destroy(), this.patienceMs).unref();
  }

  private drained(response: ServerResponse, client: Client): void {
    clearTimeout(client.impatience);
    if (!client.missed) return;
    client.missed = false;
    this.send(response, client, (this.newest ?? this.current()).event);
  }

  private closed(response: ServerResponse, client: Client): void {
    clearTimeout(client.impatience);
    this.clients.delete(response);
    if (this.clients.size > 0) return;
    this.subscription?.unsubscribe();
    this.subscription = undefined;
  }

  private refuse(response: ServerResponse): void {
    const message = `${this.mostClients} clients follow the events already, and no more are served. Close one, or ask api/overview.`;
    response.writeHead(503, { 'content-type': 'application/json; charset=utf-8', 'retry-after': String(retryAfterSec) });
    response.end(JSON.stringify({ statusCode: 503, message }));
  }

  private current(): { json: string; event: Buffer } {
    const { newest } = this;
    return newest && performance.now() - newest.atMs < freshForMs ? newest : this.keep(this.options.state());
  }

  private keep(state: unknown): { json: string; event: Buffer } {
    const json = JSON.stringify(state);
    this.newest = { json, event: Buffer.from(`data: ${json}\n\n`), atMs: performance.now() };
    return this.newest;
  }
}
