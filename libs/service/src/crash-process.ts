/** Ends the process with an error that no caller can catch, for example from a timer or a consumer loop. */
const hooks = new Set<() => void>();

/** @param hook called before `crashProcess` ends this process */
export function beforeCrash(hook: () => void): void {
  hooks.add(hook);
}

export function crashProcess(error: unknown): void {
  for (const hook of hooks) hook();
  setImmediate(() => {
    throw error;
  });
}
