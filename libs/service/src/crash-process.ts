/** Ends the process with an error that has no other place to go: from timers, consumer loops and the like. */
export function crashProcess(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
