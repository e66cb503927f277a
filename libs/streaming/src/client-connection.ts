/**
 * Mends of the Kafka client's connections (kafkajs 2.2.4, the last version), without which a consumer or a producer can stand
 * still for good, without an error, after a connection was lost. Each was met, or follows from what was met:
 *
 * 1. What had come of an answer when its connection broke stayed in front of the answers of the next connection, which
 *    from then on were cut at the wrong places; and what a socket still had to say counted for its successor. A new
 *    connection begins with nothing now, and its predecessor is not heard any more.
 * 2. A request whose answer stays away fails after its time, but the connection was kept, so that all that followed failed
 *    in the same way. It is closed now, as other clients do, and the next request opens another.
 * 3. Two that need a connection at the same time opened two, whose answers were put together as one stream. They share one.
 * 4. A request that is written to a socket that is gone was waited for without end. It is refused.
 *
 * The client has no public place for these: its class of connections is changed for the whole process.
 */
import type { Socket } from 'node:net';
import { createRequire } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** What is used of the client's class; lengths in bytes. */
interface Connection {
  socket?: Socket;
  broker: string;
  chunks: Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
  isConnected(): boolean;
  connect(): Promise<true>;
  send(request: unknown): Promise<unknown>;
  failIfNotConnected(): void;
}

const require = createRequire(import.meta.url);
const { prototype } = require('kafkajs/src/network/connection') as { prototype: Connection };
const { KafkaJSConnectionError } = require('kafkajs/src/errors') as {
  KafkaJSConnectionError: new (message: string, details: { broker: string }) => Error;
};

/** Of the length that each answer begins with. */
const lengthBytes = 4;
const original = { connect: prototype.connect, send: prototype.send, failIfNotConnected: prototype.failIfNotConnected };
const connecting = new WeakMap<Connection, Promise<true>>();
let areMended = false;

function silence(socket: Socket): void {
  socket.removeAllListeners();
  socket.on('error', () => undefined);
  socket.destroy();
}

/** Mends all connections of this process, once. */
export function mendClientConnections(): void {
  if (areMended) return;
  areMended = true;

  prototype.connect = function (this: Connection): Promise<true> {
    const underWay = connecting.get(this);
    if (underWay) return underWay;
    if (this.isConnected()) return Promise.resolve(true);
    if (this.socket) silence(this.socket);
    Object.assign(this, { chunks: [], bytesBuffered: 0, bytesNeeded: lengthBytes });
    const made = original.connect.call(this).finally(() => connecting.delete(this));
    connecting.set(this, made);
    return made;
  };

  prototype.send = async function (this: Connection, request: unknown): Promise<unknown> {
    try {
      return await original.send.call(this, request);
    } catch (error) {
      if ((error as Error).name === 'KafkaJSRequestTimeoutError') {
        this.socket?.destroy(error as Error);
        await nextTurn(); // in which the client learns of it
      }
      throw error;
    }
  };

  prototype.failIfNotConnected = function (this: Connection): void {
    original.failIfNotConnected.call(this);
    if (this.socket?.destroyed || this.socket?.writableEnded)
      throw new KafkaJSConnectionError('The connection is gone', { broker: this.broker });
  };
}
