/**
 * The bad network of the chaos test: a TCP proxy that delays, throttles, stalls, cuts and refuses connections, separately for
 * each direction. It changes no byte. When a connection is cut, the bytes in transit are lost, as in a real network.
 */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export const directions = ['toServer', 'toClient'] as const;
export type Direction = (typeof directions)[number];

export interface Weather {
  latencyMs: number;
  bytesPerSec: number;
  /** Stalls: no byte moves, and no side gets an error. */
  stalled: boolean;
}

/** Sees the bytes of a connection before they are forwarded. */
export type ConnectionWatch = (direction: Direction, chunk: Buffer) => void;

const fine: Weather = { latencyMs: 0, bytesPerSec: Infinity, stalled: false };
const stallCheckMs = 50;

export class TcpProxy {
  readonly weather: Record<Direction, Weather> = { toServer: { ...fine }, toClient: { ...fine } };
  isRefusing = false;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  constructor(
    readonly port: number,
    private readonly targetPort: number,
    private readonly watchConnection: () => ConnectionWatch = () => () => undefined,
  ) {
    this.server = createServer((client) => this.join(client));
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', resolve);
    });
  }

  async stop(): Promise<void> {
    this.isRefusing = true;
    this.cut();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  /** Cuts every open connection without notice. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  clear(): void {
    for (const direction of directions) Object.assign(this.weather[direction], fine);
    this.isRefusing = false;
  }

  private join(client: Socket): void {
    if (this.isRefusing) return void client.resetAndDestroy();
    const server = connect(this.targetPort, '127.0.0.1');
    const watch = this.watchConnection();
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined); // a cut is no event here
      socket.once('close', () => {
        this.sockets.delete(socket);
        other.destroySoon();
      });
    }
    void this.pump(client, server, { direction: 'toServer', watch });
    void this.pump(server, client, { direction: 'toClient', watch });
  }

  private async pump(from: Socket, to: Socket, { direction, watch }: { direction: Direction; watch: ConnectionWatch }): Promise<void> {
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        watch(direction, chunk);
        await this.pass(direction, chunk.length, to);
        if (to.destroyed) return;
        await new Promise<void>((resolve) => to.write(chunk, () => resolve()));
      }
      to.end();
    } catch {
      to.destroy();
    }
  }

  private async pass(direction: Direction, sizeBytes: number, to: Socket): Promise<void> {
    const weather = this.weather[direction];
    const waitMs = weather.latencyMs + (1000 * sizeBytes) / weather.bytesPerSec;
    if (waitMs > 0) await sleep(waitMs);
    while (weather.stalled && !to.destroyed) await sleep(stallCheckMs);
  }
}
