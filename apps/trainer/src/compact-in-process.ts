/** Runs one compaction in a process of its own (compaction-process.ts), and waits for its end. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { StoreCall } from '#storage/object-store.js';
import type { Compacted, CompactionSetup, FromCompaction } from './compaction-messages.js';
import { errorOf } from './process-failure.js';

/** After a stop the process ends before its next step. It is killed after this time, because an outage of the store may hold it up for minutes. */
const stopLimitMs = 6_000;

interface CompactionEvents {
  /** Calls and retries of the process's own connections. */
  onStoreCall: (call: StoreCall) => void;
  onRetry: () => void;
  stopped: AbortSignal;
}

/**
 * @param events when `stopped` aborts, the process releases its lease and ends, and this rejects within seconds
 * @throws PipelineError as CompactionJob.run does; any other error of the process; or an error that says how the process ended
 */
export async function compactInProcess(setup: CompactionSetup, { stopped, onStoreCall, onRetry }: CompactionEvents): Promise<Compacted> {
  const child = fork(fileURLToPath(new URL('./compaction-process.js', import.meta.url)), { serialization: 'advanced' });
  let answer: Extract<FromCompaction, { type: 'done' | 'failed' }> | undefined;
  child.on('message', (message) => {
    const told = message as FromCompaction;
    if (told.type === 'storeCalled') onStoreCall(told);
    else if (told.type === 'retried') onRetry();
    else answer = told;
  });
  const stop = (): void => {
    if (child.connected) child.disconnect();
    setTimeout(() => child.kill('SIGKILL'), stopLimitMs).unref();
  };
  stopped.addEventListener('abort', stop, { once: true });
  try {
    child.send(setup);
    // The channel may still hold an answer after the exit, so its end is awaited too.
    const [[code, signal]] = (await Promise.all([once(child, 'exit'), once(child, 'disconnect')])) as [
      [number | null, NodeJS.Signals | null],
      [],
    ];
    if (answer?.type === 'done') return answer;
    throw answer ? errorOf(answer) : new Error(`the compaction process ended (${signal ?? `exit code ${code}`})`);
  } finally {
    stopped.removeEventListener('abort', stop);
  }
}
