/**
 * The live sessions of this process. A session outlives its connection for a while, so that a client whose network was cut resumes by
 * its token: answers wait for it, and it goes on after the samples that arrived.
 *
 * Does not survive the process: a client whose token is unknown begins a new stream.
 */
import { randomBytes } from 'node:crypto';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { LiveSession } from './live-session.js';

export interface LiveLink {
  /** Sends one message to the client. */
  send: (message: object) => void;
}

interface Held {
  session: LiveSession;
  link: LiveLink | null;
  /** Messages that wait for the client to come back. */
  unsent: object[];
  forget: NodeJS.Timeout | undefined;
}

export interface LiveSessionsOptions {
  mostStreams: number;
  /** Bytes of samples of all streams. */
  memoryBytes: number;
  keptMs: number;
}

export class LiveSessions {
  private readonly held = new Map<string, Held>();

  constructor(private readonly options: LiveSessionsOptions) {}

  get count(): number {
    return this.held.size;
  }

  /** @throws PipelineError PREDICTOR_BUSY if there are too many streams, or their samples take too much memory */
  begin(create: (token: string) => LiveSession, link: LiveLink): { token: string; session: LiveSession } {
    const { mostStreams, memoryBytes } = this.options;
    if (this.held.size >= mostStreams)
      throw new PipelineError('PREDICTOR_BUSY', `${mostStreams} live streams run already (LIVE_STREAMS). Begin this one again later.`);
    const usedBytes = [...this.held.values()].reduce((sum, { session }) => sum + session.sizeBytes, 0);
    if (usedBytes >= memoryBytes)
      throw new PipelineError('PREDICTOR_BUSY', 'Other live streams fill the memory of LIVE_MEMORY_MB. Begin this one again later.');
    const token = randomBytes(16).toString('hex');
    const session = create(token);
    this.held.set(token, { session, link, unsent: [], forget: undefined });
    return { token, session };
  }

  /** @throws PipelineError REQUEST_INVALID for an unknown token */
  resume(token: string, link: LiveLink): LiveSession {
    const held = this.held.get(token);
    if (!held || held.link) throw new PipelineError('REQUEST_INVALID', 'No cut stream has this token. Begin a new stream.');
    clearTimeout(held.forget);
    held.link = link;
    link.send({ type: 'resumed', received: held.session.received });
    for (const message of held.unsent.splice(0)) link.send(message);
    return held.session;
  }

  /** Sends a message, or keeps it until the client comes back. */
  tell(token: string, message: object): void {
    const held = this.held.get(token);
    if (held?.link) held.link.send(message);
    else held?.unsent.push(message);
  }

  /** The connection is gone. */
  cut(token: string): void {
    const held = this.held.get(token);
    if (!held) return;
    held.link = null;
    held.forget = setTimeout(() => this.end(token), this.options.keptMs);
    held.forget.unref();
  }

  end(token: string): void {
    const held = this.held.get(token);
    clearTimeout(held?.forget);
    held?.session.close();
    this.held.delete(token);
  }

  close(): void {
    for (const token of [...this.held.keys()]) this.end(token);
  }
}
