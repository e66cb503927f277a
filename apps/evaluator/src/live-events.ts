/**
 * Sends the state as server-sent events to many clients at once.
 *
 * It serialises each state once, and all clients share the bytes. A client that reads too slowly misses states: nothing is
 * written while its connection is full, and it gets the newest state when the connection drains. A client that takes nothing for
 * half a minute is disconnected. So each client holds at most one state in memory. At most 64 clients are served; the next one
 * gets 503 with Retry-After.
 */
import type { ServerResponse } from 'node:http';
import type { Observable, Subscription } from 'rxjs';

export interface LiveEventsOptions {
  state: () => unknown;
  /** Emits the state after each change. */
  changes: Observable<unknown>;
  mostClients?: number;
  /** A client that takes nothing for this long is disconnected. */
  patienceMs?: number;
}

interface Client {
  /** True if a state came while the connection was full. */
  missed: boolean;
  /** Disconnects a client whose connection stays full. */
  impatience: NodeJS.Timeout | undefined;
}

/** Requests within this time get the same bytes. */
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

  /** @returns the state as JSON, at most half a second old */
  get json(): string {
    return this.current().json;
  }

  /** Sends states until the client disconnects. */
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

  /** Ends all streams. An open connection would take the page's next request, and the server would never close. */
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
    const message = `${this.mostClients} clients follow the events already, which is the most. Close one of them, or poll api/overview.`;
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
