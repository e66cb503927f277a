import { describe, expect, it } from 'vitest';
import { PutDisplay } from './put-display.js';
import type { PutProgress } from './put-folder.js';

const progress = (change: Partial<PutProgress>): PutProgress => ({
  files: 100,
  done: 0,
  skipped: 0,
  bytes: 100e6,
  bytesSent: 0,
  bytesSkipped: 0,
  failed: [],
  waitingFor: null,
  ...change,
});

function terminal(isTTY: boolean) {
  let nowMs = 0;
  const written: string[] = [];
  const display = new PutDisplay({ isTTY, write: (text: string) => written.push(text) }, () => nowMs);
  return { display, written, wait: (ms: number) => (nowMs += ms) };
}

describe('the progress of a put', () => {
  it('shows the rate of the last seconds and the time left', () => {
    const { display, written, wait } = terminal(true);
    wait(1000);
    display.show(progress({}));
    wait(10_000);
    display.show(progress({ done: 20, bytesSent: 20e6 }));
    expect(written.at(-1)).toContain('20 of 100 files, 20.0 MB of 100.0 MB, 2.0 MB/s, 40 s left');
    for (let second = 1; second <= 20; second++) {
      wait(1000);
      display.show(progress({ done: 20, bytesSent: 22e6 }));
    }
    for (let second = 1; second <= 18; second++) {
      wait(1000);
      display.show(progress({ done: 20 + 2 * second, bytesSent: 22e6 + second * 4e6 }));
    }
    expect(written.at(-1)).toContain('94.0 MB of 100.0 MB, 4.0 MB/s, 2 s left');
  });

  it('does not count skipped files as sent', () => {
    const { display, written, wait } = terminal(true);
    wait(1000);
    display.show(progress({ done: 50, skipped: 50, bytesSkipped: 50e6 }));
    wait(10_000);
    display.show(progress({ done: 60, skipped: 50, bytesSkipped: 50e6, bytesSent: 10e6 }));
    expect(written.at(-1)).toContain('60 of 100 files, 60.0 MB of 100.0 MB, 1.0 MB/s, 40 s left, 50 there already');
  });

  it('shows the reason why it waits', () => {
    const { display, written, wait } = terminal(true);
    wait(1000);
    display.show(progress({ done: 1, bytesSent: 1e6, waitingFor: 'The object store did not answer: connect ECONNREFUSED' }));
    expect(written.at(-1)).toContain('waiting: The object store did not answer');
  });

  it('prints a line now and then where it cannot redraw, and none for a short put', () => {
    const { display, written, wait } = terminal(false);
    for (let second = 1; second <= 25; second++) {
      wait(1000);
      display.show(progress({ done: second, bytesSent: second * 1e6 }));
    }
    expect(written).toHaveLength(2);
    expect(written[0]).toMatch(/^█+░+ 10 of 100 files.*left\n$/);
  });
});
