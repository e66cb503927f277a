/**
 * Patches the connections of the Kafka client (kafkajs 2.2.4, the last version). Without these patches a consumer or a producer can
 * hang for ever without an error after a lost connection. Each problem was observed, or follows from an observed one:
 *
 * 1. The part of an answer that had come before a connection broke stayed in front of the next connection's answers, which were
 *    then cut at wrong places. Late bytes of the old socket also counted for the new one. Now a new connection starts with an
 *    empty buffer, and the old socket is ignored.
 * 2. A request without an answer failed after its time, but the connection was kept, so all later requests failed too. Now the
 *    connection is closed, as other clients do, and the next request opens another.
 * 3. Two callers that needed a connection at the same time opened two, and their answers were joined into one stream. Now they
 *    share one.
 * 4. A request written to a closed socket waited for ever. Now it is refused.
 *
 * The client has no public hook for this, so the patch changes its connection class for the whole process.
 */
import type { Socket } from 'node:net';
import { createRequire } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** The used members of the client's class; lengths in bytes. */
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

/** Bytes of the length field at the beginning of each answer. */
const lengthBytes = 4;
const original = { connect: prototype.connect, send: prototype.send, failIfNotConnected: prototype.failIfNotConnected };
const connecting = new WeakMap<Connection, Promise<true>>();
let areMended = false;

function silence(socket: Socket): void {
  socket.removeAllListeners();
  socket.on('error', () => undefined);
  socket.destroy();
}

/** Patches all connections of this process. Call it once. */
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
        await nextTurn(); // lets the client notice
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
