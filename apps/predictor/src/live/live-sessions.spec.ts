import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LiveSession } from './live-session.js';
import { LiveSessions } from './live-sessions.js';

const keptMs = 30_000;
let sessions: LiveSessions;
let closed: number;
const sessionOf = (received = 0): LiveSession => ({ received, sizeBytes: 40, close: () => closed++ }) as unknown as LiveSession;
const linkTo = (messages: object[]) => ({ send: (message: object) => void messages.push(message) });

beforeEach(() => {
  vi.useFakeTimers();
  closed = 0;
  sessions = new LiveSessions({ mostStreams: 2, memoryBytes: 1_000, keptMs });
});
afterEach(() => {
  sessions.close();
  vi.useRealTimers();
});

describe('live sessions', () => {
  it('keep a cut stream with its answers until its client is back', () => {
    const { token } = sessions.begin(() => sessionOf(500), linkTo([]));
    sessions.cut(token);
    sessions.tell(token, { type: 'window' });
    vi.advanceTimersByTime(keptMs - 1);
    const messages: object[] = [];
    sessions.resume(token, linkTo(messages));
    expect(messages).toEqual([{ type: 'resumed', received: 500 }, { type: 'window' }]);
    vi.advanceTimersByTime(keptMs);
    expect(sessions.count).toBe(1);
  });

  it('forget a cut stream after a while', () => {
    const { token } = sessions.begin(() => sessionOf(), linkTo([]));
    sessions.cut(token);
    vi.advanceTimersByTime(keptMs);
    expect([sessions.count, closed]).toEqual([0, 1]);
    expect(() => sessions.resume(token, linkTo([]))).toThrow(/Begin a new stream/);
  });

  it('do not give a running stream to a second client', () => {
    const { token } = sessions.begin(() => sessionOf(), linkTo([]));
    expect(() => sessions.resume(token, linkTo([]))).toThrow(/No cut stream/);
  });

  it('refuse a stream beyond their number or memory', () => {
    sessions.begin(() => sessionOf(), linkTo([]));
    sessions.begin(() => sessionOf(), linkTo([]));
    expect(() => sessions.begin(() => sessionOf(), linkTo([]))).toThrow(/LIVE_STREAMS/);
    const small = new LiveSessions({ mostStreams: 9, memoryBytes: 40, keptMs });
    small.begin(() => sessionOf(), linkTo([]));
    expect(() => small.begin(() => sessionOf(), linkTo([]))).toThrow(/LIVE_MEMORY_MB/);
    small.close();
  });
});
