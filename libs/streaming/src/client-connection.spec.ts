import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { mendClientConnections } from './client-connection.js';

const require = createRequire(import.meta.url);
const { Kafka, logLevel } = require('kafkajs') as typeof import('kafkajs');
mendClientConnections();

const Connection = require('kafkajs/src/network/connection') as new (
  options: object,
) => {
  socket: Socket;
  connect(): Promise<true>;
  send(request: object): Promise<unknown>;
  disconnect(): Promise<true>;
};
const socketFactory = require('kafkajs/src/network/socketFactory') as () => object;
const apiVersionsRequest = require('kafkajs/src/protocol/requests/apiVersions') as { protocol(of: { version: number }): () => object };

const apiVersions = 18;
const metadata = 3;
const topic = 't';

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const int32 = (value: number): Buffer => Buffer.concat([int16(value >>> 16), int16(value & 0xffff)]);
const text = (value: string): Buffer => Buffer.concat([int16(value.length), Buffer.from(value)]);
const array = (...values: Buffer[]): Buffer => Buffer.concat([int32(values.length), ...values]);

interface Asked {
  api: number;
  /** Counts the connections, from 1. */
  connection: number;
  /** Counts the requests of this kind over all connections, from 1. */
  nth: number;
  answer: Buffer;
  socket: Socket;
}

/** A broker that knows its API versions and one topic, and answers as the test says. */
class FakeBroker {
  connections = 0;
  private readonly asked = new Map<number, number>();
  readonly sockets: Socket[] = [];
  private readonly server: Server;
  port = 0;

  constructor(private readonly reply: (asked: Asked) => void) {
    this.server = createServer({ allowHalfOpen: true }, (socket) => this.join(socket));
  }

  async start(): Promise<this> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  stop(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }

  private join(socket: Socket): void {
    const connection = ++this.connections;
    let received = Buffer.alloc(0);
    this.sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const [api, correlation] = [received.readInt16BE(4), received.readInt32BE(8)];
        received = received.subarray(4 + received.readInt32BE(0));
        const body = Buffer.concat([int32(correlation), this.bodyOf(api)]);
        const nth = (this.asked.get(api) ?? 0) + 1;
        this.asked.set(api, nth);
        this.reply({ api, connection, nth, answer: Buffer.concat([int32(body.length), body]), socket });
      }
    });
  }

  private bodyOf(api: number): Buffer {
    const known = [apiVersions, metadata].map((key) => Buffer.concat([int16(key), int16(0), int16(key === metadata ? 0 : 2)]));
    if (api === apiVersions) return Buffer.concat([int16(0), array(...known), int32(0)]);
    const partition = Buffer.concat([int16(0), int32(0), int32(1), array(int32(1)), array(int32(1))]);
    const self = Buffer.concat([int32(1), text('127.0.0.1'), int32(this.port)]);
    return Buffer.concat([array(self), array(Buffer.concat([int16(0), text(topic), array(partition)]))]);
  }
}

let broker: FakeBroker;
afterEach(() => broker.stop());

async function connectTo(reply: (asked: Asked) => void, requestTimeout = 30_000) {
  broker = await new FakeBroker(reply).start();
  const brokers = [`127.0.0.1:${broker.port}`];
  const client = new Kafka({ brokers, requestTimeout, retry: { initialRetryTime: 10, retries: 5 }, logLevel: logLevel.NOTHING });
  const admin = client.admin();
  await admin.connect();
  return {
    admin,
    partitions: async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      return topics[0]?.partitions.length;
    },
  };
}

/** One bare connection, without the client around it. */
async function connectionTo(reply: (asked: Asked) => void) {
  broker = await new FakeBroker(reply).start();
  const ignore = () => undefined;
  const logger = { namespace: () => ({ debug: ignore, error: ignore, warn: ignore, info: ignore }) };
  const at = { host: '127.0.0.1', port: broker.port, socketFactory: socketFactory() };
  return new Connection({ ...at, logger, connectionTimeout: 1_000, requestTimeout: 60_000 });
}

const askVersions = (): object => apiVersionsRequest.protocol({ version: 2 })();

describe('a connection of the client', () => {
  it('starts clean after the last one broke in the middle of an answer', async () => {
    const { admin, partitions } = await connectTo(({ api, nth, answer, socket }) => {
      if (api === metadata && nth === 1) socket.end(answer.subarray(0, 9));
      else socket.write(answer);
    });
    await expect(partitions()).rejects.toThrow('Closed connection');
    expect(await partitions()).toBe(1);
    await admin.disconnect();
  });

  it('is closed when an answer does not come within the request time', async () => {
    const { admin, partitions } = await connectTo(({ connection, api, answer, socket }) => {
      if (connection > 1 || api !== metadata) socket.write(answer);
    }, 200);
    await expect(partitions()).rejects.toThrow('timed out');
    expect(await partitions()).toBe(1);
    expect(broker.connections).toBe(2);
    await admin.disconnect();
  });

  it('is shared by several that need it at the same time', async () => {
    const connection = await connectionTo(({ answer, socket }) => void socket.write(answer));
    await Promise.all([connection.connect(), connection.connect(), connection.connect()]);
    await connection.send(askVersions());
    expect(broker.connections).toBe(1);
    await connection.disconnect();
  });

  it('ignores late bytes of the previous socket', async () => {
    const connection = await connectionTo(({ answer, socket }) => void socket.write(answer));
    await connection.connect();
    await connection.send(askVersions());
    const [first] = broker.sockets;
    await connection.disconnect();
    await connection.connect();
    // Two stray bytes would shift all later answers, and the client would wait for ever.
    first?.write(Buffer.from([0, 0]));
    await sleep(50);
    await expect(connection.send(askVersions())).resolves.toMatchObject({ errorCode: 0 });
    expect(broker.connections).toBe(2);
    await connection.disconnect();
  });

  it('refuses a request on a closed socket', async () => {
    const connection = await connectionTo(({ answer, socket }) => void socket.write(answer));
    await connection.connect();
    await connection.send(askVersions());
    connection.socket.destroy();
    await expect(connection.send(askVersions())).rejects.toThrow('The connection is gone');
  });
});
