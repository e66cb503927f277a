/** Milliseconds since the epoch, with fractions. Times of different threads of this machine can be compared. */
export const epochMs = (): number => performance.timeOrigin + performance.now();
