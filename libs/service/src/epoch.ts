/** The time, with fractions, and comparable between the threads of this machine. */
export const epochMs = (): number => performance.timeOrigin + performance.now();
