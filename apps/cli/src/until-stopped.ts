/** Resolves at the first Ctrl-C or SIGTERM; a second Ctrl-C ends the process at once. */
export function untilStopped(): Promise<undefined> {
  return new Promise((resolve) => {
    const stop = (): void => {
      process.stdout.write('\nstopping …\n');
      process.on('SIGINT', () => process.exit(130));
      resolve(undefined);
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
  });
}
