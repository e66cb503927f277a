import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { admitBodies } from './admit-bodies.js';

/** A response that notes its status. */
class MadeResponse extends EventEmitter {
  status = 0;
  headersSent = false;
  setHeader = (): void => undefined;
  end = (): void => undefined;
  writeHead(status: number): void {
    this.status = status;
  }
}
const request = (headers: Record<string, string>): IncomingMessage => ({ headers }) as unknown as IncomingMessage;

it('bodies beyond the memory are refused until others have their answers', () => {
  const admit = admitBodies({ maxBytes: 60, memoryBytes: 100 });
  const send = (headers: Record<string, string>): MadeResponse & { isAdmitted?: boolean } => {
    const response: MadeResponse & { isAdmitted?: boolean } = new MadeResponse();
    admit(request(headers), response as unknown as ServerResponse, () => (response.isAdmitted = true));
    return response;
  };
  const first = send({ 'content-length': '60' });
  expect(first.isAdmitted).toBe(true);
  expect(send({ 'content-length': '50' })).toMatchObject({ status: 503 });
  expect(send({ 'transfer-encoding': 'chunked' })).toMatchObject({ status: 503 });
  expect(send({}).isAdmitted).toBe(true);
  first.emit('close');
  expect(send({ 'transfer-encoding': 'chunked' }).isAdmitted).toBe(true);
});
