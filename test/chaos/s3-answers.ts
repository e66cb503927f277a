/** Reads along on a connection to the store, and tells of each request the moment its answer comes, before the client has it. */
import type { ConnectionWatch } from './tcp-proxy.js';

export interface AnsweredRequest {
  method: string;
  /** As in the request line: bucket first, still encoded. */
  path: string;
  status: number;
}

/** One connection: HTTP/1.1, one request after another, as every client here sends them. */
export function watchAnswers(onAnswered: (request: AnsweredRequest) => void): ConnectionWatch {
  let open: { method: string; path: string } | undefined;
  return (direction, chunk) => {
    const start = chunk.subarray(0, 2_000).toString('latin1');
    if (direction === 'toServer') {
      const [, method, path] = open ? [] : (/^(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP\/1\.1\r\n/.exec(start) ?? []);
      if (method && path) open = { method, path };
      return;
    }
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(start)?.[1]);
    if (!open || !status || status === 100) return;
    const request = { ...open, status };
    open = undefined;
    onAnswered(request);
  };
}
