/** Ends the process with an error that has no other place to go: from timers, consumer loops and the like. */
const hooks = new Set<() => void>();

/** @param hook called, and only in this process, when an error that somebody took responsibility for ends it */
export function beforeCrash(hook: () => void): void {
  hooks.add(hook);
}

export function crashProcess(error: unknown): void {
  for (const hook of hooks) hook();
  setImmediate(() => {
    throw error;
  });
}
