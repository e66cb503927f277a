/** Shows the progress of a put: a terminal gets one line that is redrawn, other outputs get a line now and then. */
import { printable } from '#contracts/printable.js';
import { asBytes, asDuration } from './human-units.js';
import type { PutProgress } from './put-folder.js';

const barWidth = 24;
const redrawMs = 100;
const lineIntervalMs = 10_000;
/** The cost of a file beside its bytes, in bytes: many small files take longer than one large file. */
const fileBytes = 50_000;
/** The rate is measured over this many of the last seconds. */
const windowMs = 15_000;

export class PutDisplay {
  private readonly history: { atMs: number; bytes: number; work: number }[] = [];
  private shownAtMs = 0;
  private readonly intervalMs: number;

  constructor(
    private readonly out: { isTTY?: boolean; write(text: string): unknown },
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.intervalMs = out.isTTY ? redrawMs : lineIntervalMs;
    if (!out.isTTY) this.shownAtMs = nowMs(); // a short put needs no line
  }

  show(progress: PutProgress): void {
    const atMs = this.nowMs();
    const { bytesSent, done, skipped } = progress;
    this.history.push({ atMs, bytes: bytesSent, work: bytesSent + (done - skipped) * fileBytes });
    if (atMs - this.shownAtMs < this.intervalMs) return;
    this.shownAtMs = atMs;
    const line = this.lineOf(progress, atMs);
    this.out.write(this.out.isTTY ? `\r${line}\u001b[K` : `${line}\n`);
  }

  clear(): void {
    if (this.out.isTTY) this.out.write('\r\u001b[K');
  }

  private lineOf(progress: PutProgress, atMs: number): string {
    const { files, done, skipped, bytes, bytesSent, bytesSkipped, waitingFor } = progress;
    const share = bytes > 0 ? (bytesSent + bytesSkipped) / bytes : done / files;
    const filled = Math.round(Math.min(1, share) * barWidth);
    const state = `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${done} of ${files} files, ${asBytes(bytesSent + bytesSkipped)} of ${asBytes(bytes)}`;
    if (waitingFor !== null) return `${state}, waiting: ${printable(waitingFor)}`;
    while ((this.history[1]?.atMs ?? atMs) < atMs - windowMs) this.history.shift();
    const [first] = this.history;
    const last = this.history.at(-1);
    if (!first || !last || last.atMs === first.atMs) return state;
    const seconds = (last.atMs - first.atMs) / 1000;
    const workLeft = bytes - bytesSent - bytesSkipped + (files - done) * fileBytes;
    const left = last.work > first.work ? `, ${asDuration((workLeft / (last.work - first.work)) * seconds)} left` : '';
    const there = skipped > 0 ? `, ${skipped} there already` : '';
    return `${state}, ${asBytes((last.bytes - first.bytes) / seconds)}/s${left}${there}`;
  }
}
