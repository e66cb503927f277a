/** Starts a process that compacts once (compaction-process.ts), and waits for its end. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { StoreCall } from '#storage/object-store.js';
import type { Compacted, CompactionSetup, FromCompaction } from './compaction-messages.js';
import { errorOf } from './process-failure.js';

/** It ends before its next step; but a store that does not answer may hold that up for minutes. */
const stopLimitMs = 6_000;

interface CompactionEvents {
  /** Of the process's own connections, as what is tried again. */
  onStoreCall: (call: StoreCall) => void;
  onRetry: () => void;
  stopped: AbortSignal;
}

/**
 * @param events when `stopped` aborts, the process then gives its lease back and ends; this rejects, after some seconds at most
 * @throws PipelineError as CompactionJob.run does; any other error of the process, or one that says how it ended
 */
export async function compactInProcess(setup: CompactionSetup, { stopped, onStoreCall, onRetry }: CompactionEvents): Promise<Compacted> {
  const child = fork(fileURLToPath(new URL('./compaction-process.js', import.meta.url)), { serialization: 'advanced' });
  let answer: Extract<FromCompaction, { type: 'done' | 'failed' }> | undefined;
  child.on('message', (message) => {
    const said = message as FromCompaction;
    if (said.type === 'storeCalled') onStoreCall(said);
    else if (said.type === 'retried') onRetry();
    else answer = said;
  });
  const stop = (): void => {
    if (child.connected) child.disconnect();
    setTimeout(() => child.kill('SIGKILL'), stopLimitMs).unref();
  };
  stopped.addEventListener('abort', stop, { once: true });
  try {
    child.send(setup);
    // Until the channel has ended, an answer may still be in it.
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
