/** A peer process of a bench: it reads one line and answers with one line of JSON. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Peer {
  /** @throws if the process ends before it answers, for example because it is not installed */
  ask(line: string): Promise<unknown>;
  close(): void;
}

export function startPeer(command: string, args: string[], environment: Record<string, string> = {}): Peer {
  const child = spawn(command, args, { env: { ...process.env, ...environment }, stdio: ['pipe', 'pipe', 'ignore'] });
  return { ask: asker(child), close: () => child.stdin.end() };
}

function asker(child: ChildProcess): Peer['ask'] {
  const lines = createInterface({ input: child.stdout as NonNullable<ChildProcess['stdout']> });
  child.stdin?.on('error', () => undefined);
  const ended = Promise.race([once(child, 'exit'), once(child, 'error')]).then(() => Promise.reject(new Error('the peer ended')));
  ended.catch(() => undefined);
  return async (line) => {
    const answer = once(lines, 'line');
    child.stdin?.write(`${line}\n`);
    return JSON.parse(String(((await Promise.race([answer, ended])) as unknown[])[0])) as unknown;
  };
}
