/** Listens on a connection to the store, and reports each request when its answer comes, before the client gets the answer. */
import type { ConnectionWatch } from './tcp-proxy.js';

export interface AnsweredRequest {
  method: string;
  /** The path of the request line: bucket first, still encoded. */
  path: string;
  status: number;
}

/** One HTTP/1.1 connection with one request after another, like every client of the pipeline. */
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
